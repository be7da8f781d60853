// Which subjects are the same.

import BlobCore
import Testing

struct SubjectTests {
    @Test("two ways to write the same letters are two subjects")
    func bytes() {
        let (one, other) = (Subject("caf\u{E9}"), Subject("cafe\u{301}"))
        #expect(one.name == other.name && one != other && Set([one, other, one]).count == 2)
    }
}
