#!/usr/bin/env bash
# Makes the certificates that Redis's own test suite wants for its TLS mode, in a folder:
#   tests/tls-certs.sh DIR
# An authority (ca.crt), a certificate for any use (redis.crt), and one each for servers and clients alone, with their keys.
set -euo pipefail
dir=${1:?usage: tls-certs.sh DIR}
mkdir -p "$dir"
cd "$dir"

key() { openssl genrsa -out "$1.key" 2048 2>/dev/null; }

key ca
openssl req -x509 -new -key ca.key -sha256 -days 365 -subj "/O=Ferrous tests/CN=Authority" -out ca.crt

# issue NAME LINE... signs a certificate with these extensions.
issue() {
  local name=$1
  shift
  key "$name"
  openssl req -new -key "$name.key" -sha256 -subj "/O=Ferrous tests/CN=$name" |
    openssl x509 -req -sha256 -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile <(printf '%s\n' "$@") -out "$name.crt" 2>/dev/null
}

issue redis "keyUsage=digitalSignature,keyEncipherment"
issue server "keyUsage=digitalSignature,keyEncipherment" "extendedKeyUsage=serverAuth"
issue client "keyUsage=digitalSignature,keyEncipherment" "extendedKeyUsage=clientAuth"
