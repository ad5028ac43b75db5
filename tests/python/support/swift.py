"""OpenStack Swift with its S3 interface (packages of Debian), on loopback, with everything in one folder."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

PROGRAMS = ["swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server",
            "swift-ring-builder", "memcached"]
KEYS = {"AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}

PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
user = {user}
[pipeline:main]
pipeline = catch_errors proxy-logging cache listing_formats bulk s3api tempauth slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
min_segment_size = 1048576
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

STORE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
mount_check = false
disable_fallocate = true
devices = {folder}/devices
swift_dir = {folder}
user = {user}
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def user_name():
    import pwd
    return pwd.getpwuid(os.getuid()).pw_name


def supports_attributes(folder):
    """Swift keeps its metadata in extended attributes of files."""
    probe = pathlib.Path(folder) / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift", b"x")
    except OSError:
        return False
    return True


@contextlib.contextmanager
def serve():
    """The URL of a running Swift; the test is skipped where it is not installed or cannot be started."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if not supports_attributes(folder):
            pytest.skip(f"the file system of {folder} has no extended attributes")
        url = start(pathlib.Path(folder), stack)
        yield url


def start(folder, stack):
    proxy, memcached, *stores = free_ports(5)
    (folder / "devices" / "disk").mkdir(parents=True)
    settings = {"folder": folder, "user": user_name(), "memcached": memcached}
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = test\n")
    (folder / "proxy.conf").write_text(PROXY.format(port=proxy, **settings))
    commands = [["memcached", "-l", "127.0.0.1", "-p", str(memcached), "-u", user_name()]]
    for kind, port in zip(("account", "container", "object"), stores):
        (folder / f"{kind}.conf").write_text(STORE.format(port=port, kind=kind, **settings))
        builder = folder / f"{kind}.builder"
        for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/disk", "1"], ["rebalance"]):
            subprocess.run(["swift-ring-builder", builder, *words], check=True, capture_output=True)
        commands.append([f"swift-{kind}-server", str(folder / f"{kind}.conf")])
    commands.append(["swift-proxy-server", str(folder / "proxy.conf")])
    environment = {**os.environ, "SWIFT_CONF": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    log = stack.enter_context(open(folder / "log", "wb"))
    for command in commands:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        stack.callback(process.wait)
        stack.callback(process.terminate)
    deadline = time.monotonic() + 60
    for port in (memcached, *stores, proxy):
        while not listens(port):
            if time.monotonic() > deadline:
                pytest.skip("Swift does not start: " + (folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)
    return f"http://127.0.0.1:{proxy}"


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
