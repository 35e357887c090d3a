rm -rf target/diff
weft build --out target/diff
if [ -e openapi.json ]; then
  weft diff openapi.json target/diff/*.wasm
else
  echo "No openapi.json is committed, so nothing is compared. To begin: weft openapi --artifact target/diff/*.wasm > openapi.json"
fi
