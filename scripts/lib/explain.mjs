// What a program's output means for the reader: the causes worth a sentence of their own.

const CAUSES = [
  [
    /linker `?(cc|link\.exe)`? not found/,
    'A C compiler is missing: install one (Debian and Ubuntu: apt-get install build-essential; macOS: xcode-select --install; Windows: the C++ build tools of Visual Studio) and run this again.',
  ],
  [
    /openssl-sys|Could not find directory of OpenSSL/,
    'The headers of OpenSSL are missing: install them (Debian and Ubuntu: apt-get install libssl-dev pkg-config; Fedora: dnf install openssl-devel) and run this again.',
  ],
  [/ENOSPC|[Nn]o space left on device/, 'The disk is full: free about 3 GB and run this again.'],
  [
    /Could not resolve host|failed to download|spurious network error|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/,
    'A download failed: check the network connection (and HTTPS_PROXY, if you are behind a proxy) and run this again.',
  ],
];

export const explain = (text) => CAUSES.find(([pattern]) => pattern.test(text))?.[1];
