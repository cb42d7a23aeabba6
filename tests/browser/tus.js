// Uploads a file with the stock tus-js-client, and prints what became of it as JSON.
//   node tus.js URL TOKEN FILE
const fs = require("fs");
const tus = require("tus-js-client");

const [, , endpoint, authorization, path] = process.argv;
let retries = 0, signedId = null;

const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint,
  headers: { Authorization: authorization },
  uploadSize: fs.statSync(path).size,
  chunkSize: Number(process.env.CHUNK || 16 * 1024 * 1024),
  retryDelays: Array(30).fill(200),
  metadata: { filename: "long.bin", filetype: "application/octet-stream" },
  onShouldRetry: () => { retries += 1; return true; },
  onAfterResponse: (_, response) => {
    signedId = response.getHeader("Upload-Signed-Id") || signedId;
  },
  onError: error => { console.log(JSON.stringify({ error: String(error) })); process.exit(1); },
  onSuccess: () => { console.log(JSON.stringify({ url: upload.url, retries, signedId })); },
});
upload.start();
