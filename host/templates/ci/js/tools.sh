# What package-lock.json says: commit it.
npm ci --no-audit --no-fund --ignore-scripts
