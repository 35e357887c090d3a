npm test
weft test
