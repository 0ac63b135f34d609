// The system's Chromium is used (scripts/setup.mjs installs it), so puppeteer downloads none.
module.exports = { skipDownload: true };
