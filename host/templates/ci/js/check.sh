npm run --if-present lint
if [ -e tsconfig.json ]; then
  npx --no-install tsc --noEmit
fi
