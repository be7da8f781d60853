// OpenSSL 3 marks the low-level SHA-256 functions deprecated in favour of EVP. They are used here on purpose:
// EVP contexts are opaque, and an upload's running digest has to be stored with its offset and go on elsewhere.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
