// Finds the end of a head, and stops reading one that is too large.

/// Looks at each byte once, however slowly the bytes come. One scanner is for one head.
struct HeadScanner {
    /// Of the method, the target of two times 8 KiB, and the version. In bytes, as all limits.
    private static let longestRequestLine = 17 * 1024
    private static let longestField = 8 * 1024
    private static let most = 48 * 1024

    /// The number of bytes that have been looked at.
    private var position = 0
    private var lineStart = 0
    private var lineCount = 0

    /// - Parameter bytes: all that have come of the head, from its first one on.
    /// - Returns: the number of bytes of the head; `nil` where its end has not come yet.
    mutating func end(in bytes: borrowing Span<UInt8>) throws(Refusal) -> Int? {
        // What is no text at all, such as a greeting of TLS, may never end a line.
        guard position > 0 || bytes.isEmpty || bytes[0].isInToken else {
            throw .malformed("it does not begin with a method and one space")
        }
        while position < bytes.count {
            guard bytes[position] == .lineFeed else {
                position += 1
                continue
            }
            guard position > lineStart, bytes[position - 1] == .carriageReturn else {
                throw .malformed("a line of its head ends without CR")
            }
            let isEmpty = position == lineStart + 1
            position += 1
            try endLine()
            if isEmpty { return position }
        }
        try checkLength(of: position - lineStart)
        return nil
    }

    private mutating func endLine() throws(Refusal) {
        try checkLength(of: position - lineStart)
        lineStart = position
        lineCount += 1
        // The first line and the empty one come on top.
        guard lineCount <= HTTPServer.mostFields + 2 else { throw .headersTooLarge }
    }

    private func checkLength(of line: Int) throws(Refusal) {
        guard lineCount > 0 else {
            guard line <= Self.longestRequestLine else { throw .requestLineTooLong }
            return
        }
        guard line <= Self.longestField, lineStart + line <= Self.most else { throw .headersTooLarge }
    }
}
