// The parsers of what comes from outside, each with what must hold whatever the bytes are: decision 45.

/// One parser, as the fuzzer and the replay of its findings call it.
public struct FuzzedParser: Sendable {
    /// What a parser must not do, for people.
    public struct Violation: Error, CustomStringConvertible {
        public let description: String
    }

    public let name: String
    /// - Throws: ``Violation``; a trap of the parser ends the process.
    public let run: @Sendable (_ bytes: [UInt8]) throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (_ bytes: [UInt8]) throws -> Void) {
        (self.name, self.run) = (name, run)
    }

    /// The same for a parser of text, as Swift makes it of any bytes.
    init(_ name: String, text run: @escaping @Sendable (_ text: String) throws -> Void) {
        self.init(name) { try run(String(decoding: $0, as: UTF8.self)) }
    }

    /// All of them, by their names.
    public static let all: [String: FuzzedParser] = Dictionary(
        uniqueKeysWithValues: (framings + fields + names + identities).map { ($0.name, $0) })
}

/// - Throws: ``FuzzedParser/Violation`` where something does not hold.
func require(_ condition: Bool, _ description: @autoclosure () -> String) throws {
    guard condition else { throw FuzzedParser.Violation(description: description()) }
}
