// The XML that S3 speaks, both ways.

import Foundation
import NIOCore
import XMLCoder

/// A body that a reply may have.
protocol ReplyDocument: Decodable {
    /// The name of its outermost element.
    static var root: String { get }
}

enum Documents {
    /// Reads a reply's body.
    ///
    /// - Throws: ``S3Error`` of the kind `unexpectedReply` when it is cut, another document, or lacks what it must
    ///   have.
    static func decode<Document: ReplyDocument>(_ type: Document.Type, from body: ByteBuffer) throws(S3Error)
        -> Document
    {
        // While a store works, it may send spaces, which must not come before the document itself.
        let bytes = body.readableBytesView.drop { isSpace($0) }
        guard let root = root(of: bytes) else {
            throw S3Error(.unexpectedReply, message: "the store's reply is no XML: \(start(of: bytes))")
        }
        guard root == Document.root else {
            throw S3Error(.unexpectedReply, message: "the store's reply is <\(root)>, and not <\(Document.root)>")
        }
        // Trimmed, a text would lose the spaces beside each of its escapes.
        let decoder = XMLDecoder(trimValueWhitespaces: false, removeWhitespaceElements: true)
        decoder.shouldProcessNamespaces = true
        do {
            return try decoder.decode(Document.self, from: Data(bytes))
        } catch {
            throw S3Error(
                .unexpectedReply, message: "the store's <\(root)> lacks something, or holds what S3 does not say")
        }
    }

    /// Whether a body is an error, whatever the status was.
    static func isError(_ body: ByteBuffer) -> Bool {
        root(of: body.readableBytesView.drop { isSpace($0) }) == ErrorReply.root
    }

    /// The name of the outermost element, without its namespace's prefix; `nil` when there is none, and for documents
    /// with a type of their own, which S3 has not.
    static func root(of body: ByteBufferView) -> String? {
        var rest = body.starts(with: [0xef, 0xbb, 0xbf]) ? body.dropFirst(3) : body
        while true {
            rest = rest.drop { isSpace($0) }
            if rest.starts(with: "<?".utf8) {
                guard let end = rest.firstRange(of: Array("?>".utf8)) else { return nil }
                rest = rest[end.upperBound...]
            } else if rest.starts(with: "<!--".utf8) {
                guard let end = rest.firstRange(of: Array("-->".utf8)) else { return nil }
                rest = rest[end.upperBound...]
            } else if rest.starts(with: "<!".utf8) || rest.first != UInt8(ascii: "<") {
                return nil
            } else {
                let name = rest.dropFirst().prefix {
                    !isSpace($0) && $0 != UInt8(ascii: ">") && $0 != UInt8(ascii: "/")
                }
                guard let text = String(validating: name, as: UTF8.self), !text.isEmpty else { return nil }
                return text.split(separator: ":").last.map(String.init)
            }
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0a, 0x0d].contains(byte) }

    /// For an error's message.
    private static func start(of body: ByteBufferView) -> String {
        body.isEmpty ? "empty" : "'\(String(decoding: body.prefix(80), as: UTF8.self))'"
    }

    // MARK: Requests

    static func deletion(of keys: [String]) -> ByteBuffer {
        let objects = keys.map { "<Object><Key>\(escaped($0))</Key></Object>" }.joined()
        return ByteBuffer(string: "<Delete xmlns=\"\(namespace)\">\(objects)</Delete>")
    }

    static func completion(of parts: [S3Part]) -> ByteBuffer {
        let list = parts.map {
            "<Part><PartNumber>\($0.number)</PartNumber><ETag>\(escaped($0.eTag))</ETag></Part>"
        }
        return ByteBuffer(
            string: "<CompleteMultipartUpload xmlns=\"\(namespace)\">\(list.joined())</CompleteMultipartUpload>")
    }

    private static let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }

    /// Whether a text comes through XML 1.0 (§2.2 and §2.11) as it is.
    static func canHold(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value & 0xfffe != 0xfffe }
    }
}

// MARK: - Replies

struct ErrorReply: ReplyDocument {
    static let root = "Error"

    var code: String
    var message: String?
    var requestID: String?
    /// Where the bucket is, when it is elsewhere.
    var region: String?
    var endpoint: String?

    enum CodingKeys: String, CodingKey {
        case code = "Code"
        case message = "Message"
        case requestID = "RequestId"
        case region = "Region"
        case endpoint = "Endpoint"
    }
}

struct DeletionReply: ReplyDocument {
    static let root = "DeleteResult"

    struct Deleted: Decodable {
        var key: String

        enum CodingKeys: String, CodingKey {
            case key = "Key"
        }
    }

    struct Failure: Decodable {
        var key: String
        var code: String
        var message: String?

        enum CodingKeys: String, CodingKey {
            case key = "Key"
            case code = "Code"
            case message = "Message"
        }
    }

    var deleted: [Deleted]
    var failures: [Failure]

    enum CodingKeys: String, CodingKey {
        case deleted = "Deleted"
        case failures = "Error"
    }
}

struct ListReply: ReplyDocument {
    static let root = "ListBucketResult"

    struct Object: Decodable {
        var key: String
        var size: Int64
        var lastModified: String
        var eTag: String?

        enum CodingKeys: String, CodingKey {
            case key = "Key"
            case size = "Size"
            case lastModified = "LastModified"
            case eTag = "ETag"
        }
    }

    var isTruncated: Bool
    var encoding: String?
    var objects: [Object]

    enum CodingKeys: String, CodingKey {
        case isTruncated = "IsTruncated"
        case encoding = "EncodingType"
        case objects = "Contents"
    }
}

struct CreationReply: ReplyDocument {
    static let root = "InitiateMultipartUploadResult"

    var id: String

    enum CodingKeys: String, CodingKey {
        case id = "UploadId"
    }
}

struct CopyReply: ReplyDocument {
    static let root = "CopyPartResult"

    var eTag: String

    enum CodingKeys: String, CodingKey {
        case eTag = "ETag"
    }
}

struct CompletionReply: ReplyDocument {
    static let root = "CompleteMultipartUploadResult"

    var eTag: String?

    enum CodingKeys: String, CodingKey {
        case eTag = "ETag"
    }
}

struct UploadsReply: ReplyDocument {
    static let root = "ListMultipartUploadsResult"

    struct Upload: Decodable {
        var key: String
        var id: String
        var initiated: String

        enum CodingKeys: String, CodingKey {
            case key = "Key"
            case id = "UploadId"
            case initiated = "Initiated"
        }
    }

    var isTruncated: Bool
    var uploads: [Upload]

    enum CodingKeys: String, CodingKey {
        case isTruncated = "IsTruncated"
        case uploads = "Upload"
    }
}
