// The client library of PostgreSQL, from the package libpq-dev.
#include <libpq-fe.h>
