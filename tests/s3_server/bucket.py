"""Objects in memory with the operations of the S3 interface that the tests need."""
import base64
import hashlib
import itertools
import re
import struct
import threading
import urllib.parse
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sigv4 import Refused

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PAGE = 50  # keys of a listing; S3 has 1000, and here most listings must go on
UPLOADS_PAGE = 2
SMALLEST_PART = 5 << 20


def crc32c_table():
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        yield number


CRC32C_TABLE = list(crc32c_table())


def crc32c(data):
    """As S3 has it: the number from its highest byte on, in base64."""
    number = 0xFFFFFFFF
    for byte in data:
        number = CRC32C_TABLE[(number ^ byte) & 255] ^ number >> 8
    return base64.b64encode(struct.pack(">I", number ^ 0xFFFFFFFF)).decode()


def checked_crc32c(headers, body):
    """The checksum that a body came with, which must be its own; None without one."""
    sent = headers.get("x-amz-checksum-crc32c")
    if sent is not None and sent != crc32c(body):
        raise Refused(400, "BadDigest", "The CRC32C you specified did not match the calculated checksum.")
    return sent


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, status=200, body=b"", **headers):
        self.status, self.body = status, body if isinstance(body, bytes) else body.encode()
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}


def document(root, content):
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{content}</{root}>'


def error(status, code, message="", **fields):
    content = "".join(f"<{name}>{escape(value)}</{name}>"
                      for name, value in {"Code": code, "Message": message, **fields}.items())
    return Answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{content}</Error>',
                  Content_Type="application/xml")


class Stored:
    def __init__(self, data, etag=None, headers=None):
        self.data = data
        self.etag = etag or f'"{hashlib.md5(data).hexdigest()}"'
        self.headers = headers or {}


class Bucket:
    """One bucket. `smallest_part` can be lowered, so that tests need not move megabytes."""

    def __init__(self, smallest_part=SMALLEST_PART, draw=lambda *names: None):
        self.objects, self.uploads = {}, {}
        self.smallest_part, self.draw = smallest_part, draw
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)

    def handle(self, method, key, query, headers, body):
        """The answer to a request that is allowed; `query` is a dict."""
        with self.lock:
            if key == "":
                if method == "GET" and query.get("list-type") == "2":
                    return self.list(query)
                if method == "GET" and "uploads" in query:
                    return self.list_uploads(query)
                if method == "POST" and "delete" in query:
                    return self.delete_many(headers, body)
                if method in ("GET", "HEAD"):
                    return error(501, "NotImplemented")
                return error(405, "MethodNotAllowed")
            if method in ("GET", "HEAD"):
                return self.get(key, headers)
            if method == "PUT" and "uploadId" in query:
                return self.put_part(query, headers, body)
            if method == "PUT":
                checked_crc32c(headers, body)
                self.objects[key] = Stored(body, headers=headers)
                return Answer(200, ETag=self.objects[key].etag)
            if method == "DELETE" and "uploadId" in query:
                if self.uploads.pop(query["uploadId"], None) is None:
                    return error(404, "NoSuchUpload")
                return Answer(204)
            if method == "DELETE":
                self.objects.pop(key, None)
                return Answer(204)
            if method == "POST" and "uploads" in query:
                upload = f"upload+{next(self.numbers)}/="  # characters that must be encoded in a query
                self.uploads[upload] = (key, headers, {})
                return Answer(200, document("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>"))
            if method == "POST" and "uploadId" in query:
                return self.complete(key, query, body)
            return error(405, "MethodNotAllowed")

    def get(self, key, headers):
        stored = self.objects.get(key)
        if stored is None:
            return error(404, "NoSuchKey", "The specified key does not exist.")
        if "if-match" in headers and headers["if-match"] != stored.etag:
            return error(412, "PreconditionFailed")
        size, wanted = len(stored.data), headers.get("range")
        if wanted is None:
            return Answer(200, stored.data, ETag=stored.etag)
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted).groups()
        if first == "":
            begin, end = max(0, size - int(last)), size
        else:
            begin, end = int(first), min(size, int(last) + 1 if last else size)
        if begin >= size or (first == "" and last == "0"):
            return error(416, "InvalidRange")
        return Answer(206, stored.data[begin:end], ETag=stored.etag,
                      Content_Range=f"bytes {begin}-{end - 1}/{size}")

    def list(self, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = base64.urlsafe_b64decode(query["continuation-token"]).decode() if "continuation-token" in query else ""
        encode = urllib.parse.quote_plus if query.get("encoding-type") == "url" else escape
        content, count, seen, token = "", 0, set(), ""
        for key in sorted(self.objects, key=str.encode):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix):]
            name = prefix + rest[:rest.index(delimiter) + 1] if delimiter and delimiter in rest else key
            if name in seen or name.encode() <= after.encode():
                continue
            if count == min(PAGE, int(query.get("max-keys", PAGE))):
                token = base64.urlsafe_b64encode(last.encode()).decode()
                break
            seen.add(name)
            last, count = name, count + 1
            if name != key or (delimiter and name.endswith(delimiter)):
                content += f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>"
            else:
                content += f"<Contents><Key>{encode(name)}</Key><Size>{len(self.objects[key].data)}</Size></Contents>"
        encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
        more = (f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token
                else "<IsTruncated>false</IsTruncated>")
        return Answer(200, document("ListBucketResult", encoding + more + content))

    def list_uploads(self, query):
        encode = urllib.parse.quote_plus if query.get("encoding-type") == "url" else escape
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        found = sorted((key, upload) for upload, (key, _, _) in self.uploads.items()
                       if key.startswith(query.get("prefix", "")) and (key, upload) > after)
        page, more = found[:UPLOADS_PAGE], len(found) > UPLOADS_PAGE
        content = "".join(f"<Upload><Key>{encode(key)}</Key><UploadId>{upload}</UploadId></Upload>"
                          for key, upload in page)
        encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
        end = "<IsTruncated>false</IsTruncated>"
        if more:
            end = (f"<IsTruncated>true</IsTruncated><NextKeyMarker>{encode(page[-1][0])}</NextKeyMarker>"
                   f"<NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>")
        return Answer(200, document("ListMultipartUploadsResult", encoding + end + content))

    def delete_many(self, headers, body):
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        if headers.get("content-md5") != digest:
            raise Refused(400, "BadDigest" if "content-md5" in headers else "InvalidRequest")
        keys = [element.text for element in ElementTree.fromstring(body).iter(f"{{{NAMESPACE}}}Key")]
        if len(keys) > 1000:
            return error(400, "MalformedXML")
        failures = ""
        for key in keys:
            if key.endswith("/locked"):
                failures += (f"<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code>"
                             "<Message>Access Denied</Message></Error>")
            elif self.draw("key_put_off"):
                failures += (f"<Error><Key>{escape(key)}</Key><Code>SlowDown</Code>"
                             "<Message>Please reduce your request rate.</Message></Error>")
            else:
                self.objects.pop(key, None)
        return Answer(200, document("DeleteResult", failures))

    def put_part(self, query, headers, body):
        if query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        _, begun_with, parts = self.uploads[query["uploadId"]]
        checksum = checked_crc32c(headers, body)
        if checksum is None and "x-amz-checksum-algorithm" in begun_with:
            return error(400, "InvalidRequest", "The upload was created using a checksum, which the part lacks")
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        parts[int(query["partNumber"])] = (etag, body, checksum)
        return Answer(200, ETag=etag)

    def complete(self, key, query, body):
        upload = self.uploads.get(query["uploadId"])
        if upload is None or upload[0] != key:
            return error(404, "NoSuchUpload")
        _, headers, parts = upload
        listed = [(int(part.find(f"{{{NAMESPACE}}}PartNumber").text), part.find(f"{{{NAMESPACE}}}ETag").text,
                   part.findtext(f"{{{NAMESPACE}}}ChecksumCRC32C"))
                  for part in ElementTree.fromstring(body).iter(f"{{{NAMESPACE}}}Part")]
        numbers = [number for number, _, _ in listed]
        if numbers != sorted(set(numbers)):
            return error(400, "InvalidPartOrder")
        for number, etag, checksum in listed:
            # A checksum that was not sent may not be named, and one that was announced must be.
            known = parts.get(number, (None, None, None))
            if known[0] != etag or known[2] != checksum:
                return error(400, "InvalidPart")
        if any(len(parts[number][1]) < self.smallest_part for number in numbers[:-1]):
            return error(400, "EntityTooSmall")
        digests = b"".join(hashlib.md5(parts[number][1]).digest() for number in numbers)
        etag = f'"{hashlib.md5(digests).hexdigest()}-{len(listed)}"'
        self.objects[key] = Stored(b"".join(parts[number][1] for number in numbers), etag, headers)
        del self.uploads[query["uploadId"]]
        return Answer(200, document("CompleteMultipartUploadResult", f"<ETag>{escape(etag)}</ETag>"))
