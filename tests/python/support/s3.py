"""The S3 server of the tests (tests/s3_server), and the program run against it."""
import contextlib
import json
import os
import subprocess
import urllib.parse
import urllib.request

from support.program import REPOSITORY, call

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "secret/of+test"}


class Server:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def _ask(self, path, body=None):
        with urllib.request.urlopen(self.url + path, data=body) as answer:
            return answer.read()

    def control(self, **settings):
        self._ask("/_control", json.dumps(settings).encode())

    @property
    def state(self):
        return json.loads(self._ask("/_state"))

    def objects(self, bucket, below):
        """Every object of a bucket below a key; its content."""
        keys = [key for key in self.state["objects"].get(bucket, []) if key.startswith(below + "/")]
        return {key[len(below) + 1:]: self._ask(f"/web/{bucket}/" + urllib.parse.quote(key)) for key in keys}

    def environment(self, keys=None):
        """Of a program that speaks to this server, without the settings of this machine."""
        inherited = {name: value for name, value in os.environ.items()
                     if not name.startswith("AWS_") and "proxy" not in name.lower()}
        return {**inherited, "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ENDPOINT_URL_S3": self.url, **(KEYS if keys is None else keys)}

    def call(self, *words, cwd, keys=None):
        return call(*words, cwd=cwd, env=self.environment(keys))


@contextlib.contextmanager
def serve():
    with subprocess.Popen(["/usr/bin/python3", "-B", REPOSITORY / "tests/s3_server/server.py"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Server(process.stdout.readline().split()[-1])
        process.stdin.close()
