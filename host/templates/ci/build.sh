rm -rf dist
weft build --out dist
