"""impacket's SMB client, which puts a file onto a share: DOMAIN/USER:PASSWORD@ADDRESS DIALECT FILE."""

import io
import sys

from impacket import smb, smb3structs
from impacket.examples.utils import parse_target
from impacket.smbconnection import SMBConnection

DIALECTS = {
    "SMB1": smb.SMB_DIALECT,
    "SMB2_02": smb3structs.SMB2_DIALECT_002,
    "SMB2_10": smb3structs.SMB2_DIALECT_21,
    "SMB3_00": smb3structs.SMB2_DIALECT_30,
}

target, dialect, name = sys.argv[1:]
domain, user, password, address = parse_target(target)
connection = SMBConnection(address, address, preferredDialect=DIALECTS.get(dialect))
connection.login(user, password, domain)
connection.connectTree("share")
connection.putFile("share", name, io.BytesIO(b"id,name\n1,Ada\n").read)
connection.logoff()
connection.close()
