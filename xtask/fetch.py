"""Fetches a file of a project from the index that pip uses here, and checks its hash.

pip itself would run an archive's code for its metadata.
"""

import hashlib
import sys

from pip._internal.commands import create_command

project, name, pin, path = sys.argv[1:]
command = create_command("download")
with command.main_context():
    options, _ = command.parse_args(["--no-binary", project])
    session = command.get_default_session(options)
    finder = command._build_package_finder(options, session)
    links = [found.link for found in finder.find_all_candidates(project) if found.link.filename == name]
    if not links:
        sys.exit(f"no {name} in the index")
    answer = session.get(links[0].url_without_fragment, headers={"Accept-Encoding": "identity"})
    answer.raise_for_status()
hash = hashlib.sha256(answer.content).hexdigest()
if hash != pin:
    sys.exit(f"{name} has the hash {hash}, not {pin}")
with open(path, "wb") as file:
    file.write(answer.content)
