#!/bin/sh
# From a queue of RabbitMQ to the cache of a Weft host: each message is a body of POST /v1/invalidate, such as {"tags": ["film:7"]}.
#
#   WEFT_TOKEN_FILE=token ./rabbitmq.sh amqp://guest:guest@127.0.0.1 weft-1 http://127.0.0.1:9090
#
# The queue has to be there, one for each host that shares no cache with others. A message is acknowledged when the host has done it, or
# when the host does not understand it. Until then the next one waits, and the broker keeps it if this script ends.
set -eu

# One message, on standard input.
one() {
  body=$(cat)
  while true; do
    status=$(printf %s "$body" | curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 \
      --header "authorization: Bearer $(cat "$WEFT_TOKEN_FILE")" --header 'content-type: application/json' \
      --data-binary @- "$1/v1/invalidate") || status=none
    case $status in
      200) return 0 ;;
      400) echo "a message was dropped, as the host does not understand it" >&2; return 0 ;;
      *) echo "the host's answer: $status; the message is tried again" >&2; sleep 1 ;;
    esac
  done
}

if [ "${1:-}" = --one ]; then one "$2"; exit 0; fi
[ $# = 3 ] || { echo "usage: WEFT_TOKEN_FILE=FILE $0 AMQP-URL QUEUE ADMIN-URL" >&2; exit 2; }
[ -r "${WEFT_TOKEN_FILE:-}" ] || { echo "WEFT_TOKEN_FILE has to name the file of the admin token" >&2; exit 2; }
exec amqp-consume --url="$1" --queue="$2" --prefetch-count=1 -- "$0" --one "$3"
