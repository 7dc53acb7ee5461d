# Uses a server over TLS through redis-py, and prints "done".
# python3 redis-py.py PORT CA CERT KEY
import sys

import redis

port, ca, cert, key = sys.argv[1:]


def make(authority):
    return redis.Redis(host="127.0.0.1", port=int(port), ssl=True, ssl_ca_certs=authority, ssl_certfile=cert, ssl_keyfile=key,
                       ssl_check_hostname=False, decode_responses=True)


c = make(ca)
large = "v" * (3 << 20)
assert c.set("large", large)
assert c.get("large") == large
p = c.pipeline(transaction=False)
for _ in range(5000):
    p.incr("n")
assert p.execute() == list(range(1, 5001))
sub = c.pubsub(ignore_subscribe_messages=True)
sub.subscribe("news")
sub.get_message(timeout=10)
for i in range(100):
    assert c.publish("news", i) == 1
messages = []
while len(messages) < 100:
    m = sub.get_message(timeout=10)
    if m is not None:
        messages.append(m["data"])
assert messages == [str(i) for i in range(100)]
make(ca).client_kill_filter(_type="normal", skipme=True)
while True:
    try:
        assert c.get("n") == "5000"
        break
    except redis.ConnectionError:
        pass  # the next call makes a new connection
try:
    make(cert).ping()  # the certificate of the client is no authority
except redis.ConnectionError:
    print("done")
