// Open files that are kept for the catalog, the log and the runtime.

import BlobStorage
import Glibc
import Testing

struct OpenFileLimitTests {
    @Test("a blob is not opened with one of the last files; other errors stay what they were")
    func admitted() {
        // No process has a file with this number, so none is closed.
        errno = 0
        #expect(OpenFileLimit.admitted(.max) == -1 && errno == EMFILE)
        #expect(OpenFileLimit.admitted(STDERR_FILENO) == STDERR_FILENO)
        errno = EACCES
        #expect(OpenFileLimit.admitted(-1) == -1 && errno == EACCES)
        #expect(OpenFileLimit.obstacleForConnection == nil)
    }
}
