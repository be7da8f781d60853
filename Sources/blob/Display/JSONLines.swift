// The output of `--json`: one object on a line, its keys in snake_case.

import BlobClient
import BlobCore
import Foundation

enum JSONLines {
    /// The object on one line, without the line's end.
    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.dateEncodingStrategy = .iso8601
        // Texts, numbers and dates: there is nothing in them that could not be encoded.
        let json = (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        return HiddenCharacter.replaced(in: json) { hidden in
            // The encoder leaves all of them alone that JSON allows, and a terminal may show the line.
            String(hidden.scalar).utf16.map { unit in
                let digits = String(unit, radix: 16)
                return #"\u"# + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }
    }

    static func print(_ value: some Encodable) throws {
        try Output.write(text(value) + "\n")
    }
}

/// Something that happened to a file on its way. Keys without a value are left out.
struct ReportedEvent: Encodable {
    enum Kind: String, Encodable {
        case began, moved, reading, retrying, done, skipped, failed, finished, deleted, cancelled
        case startingOver = "starting_over"
        case passedOver = "passed_over"
        case wouldDownload = "would_download"
        case wouldDelete = "would_delete"
    }

    struct Failure: Encodable, Equatable {
        var message: String
        /// The server's answer.
        var status: Int?
        var code: String?
        var requestId: String?
        var advice: String?
        /// The ids of the files that one name may mean.
        var candidates: [String]?

        init(_ error: any Error) {
            let text = ErrorText(error)
            (message, advice) = (text.problem, text.advice)
            (status, code, requestId) = (text.refusal?.status, text.refusal?.code, text.refusal?.requestID)
            candidates = (error as? AmbiguousName)?.files.compactMap(\.id)
        }
    }

    var event: Kind
    var path: String?
    var offset: Int64?
    var size: Int64?
    var afterSeconds: Double?
    var reason: String?
    var error: Failure?
    var digest: String?
    var url: String?
    var id: String?
    var name: String?
    /// Of `finished`.
    var succeeded: Int?
    var failed: Int?
    var interrupted: Int?
    var bytes: Int64?
    var seconds: Double?

    init(_ event: Kind, path: String? = nil) {
        (self.event, self.path) = (event, path)
    }

    init(_ event: TransferEvent, path: String) {
        switch event {
        case .began(let offset, let size):
            self.init(.began, path: path)
            (self.offset, self.size) = (offset, size)
        case .reading(let position, let end):
            self.init(.reading, path: path)
            (offset, size) = (position, end)
        case .moved(let offset):
            self.init(.moved, path: path)
            self.offset = offset
        case .retrying(let error, let pause):
            self.init(.retrying, path: path)
            (self.error, afterSeconds) = (Failure(error), (pause / .milliseconds(1)).rounded() / 1000)
        case .startingOver(let reason):
            self.init(.startingOver, path: path)
            self.reason = reason.name
        }
    }
}
