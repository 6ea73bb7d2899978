"""impacket's SMB server with one share: ADDRESS FOLDER USER PASSWORD."""

import logging
import sys

from impacket import smbserver
from impacket.ntlm import compute_lmhash, compute_nthash

address, folder, user, password = sys.argv[1:]
logging.disable()
server = smbserver.SimpleSMBServer(listenAddress=address, listenPort=445)
server.addShare("SHARE", folder, "")
server.setSMB2Support(True)
server.addCredential(user, 0, compute_lmhash(password), compute_nthash(password))
server.setLogFile("")
print("listening", flush=True)
server.start()
