// Amazon's Signature Version 4, as S3 uses it: paths are encoded once and never normalized, and the payload's hash is
// signed in a header. Nothing here sends or reads anything.

import BlobCore
import Crypto
import Foundation
import Synchronization

/// The signed part of a request, but for the signature's own headers.
struct SignableRequest: Sendable {
    var method: String
    /// Percent-encoded once.
    var path: String
    /// Not encoded.
    var query: [(name: String, value: String)] = []
    /// All that are to be signed; `Host` must be among them.
    var headers: [(name: String, value: String)]
}

/// Signs requests for one region's S3.
struct SignatureV4: Sendable {
    let credentials: S3Configuration.Credentials
    let region: String
    private let key = DailyKey()

    static let unsignedPayload = "UNSIGNED-PAYLOAD"
    private static let algorithm = "AWS4-HMAC-SHA256"

    /// The headers that a request has to have beside those that were signed.
    ///
    /// - Parameter payload: the hash of the body, in hexadecimal.
    func headers(
        for request: SignableRequest, payload: String, at time: Date
    ) -> [(name: String, value: String)] {
        let timestamp = Self.timestamp(time)
        var added = [("x-amz-content-sha256", payload), ("x-amz-date", timestamp)]
        if let token = credentials.sessionToken { added.append(("x-amz-security-token", token)) }
        var whole = request
        whole.headers += added.map { (name: $0.0, value: $0.1) }
        let signature = signature(of: Self.canonical(whole, payload: payload), timestamp: timestamp)
        let authorization =
            "\(Self.algorithm) Credential=\(credentials.accessKey)/\(scope(timestamp)), "
            + "SignedHeaders=\(Self.signedHeaders(whole)), Signature=\(signature)"
        return added.map { (name: $0.0, value: $0.1) } + [("Authorization", authorization)]
    }

    /// The query of an address that anybody may use for a time, signature and all, encoded.
    ///
    /// - Parameter seconds: how long the address is good from then on.
    func presignedQuery(for request: SignableRequest, expiresIn seconds: Int, at time: Date) -> String {
        let timestamp = Self.timestamp(time)
        var whole = request
        whole.query += [
            ("X-Amz-Algorithm", Self.algorithm),
            ("X-Amz-Credential", "\(credentials.accessKey)/\(scope(timestamp))"),
            ("X-Amz-Date", timestamp),
            ("X-Amz-Expires", "\(seconds)"),
            ("X-Amz-SignedHeaders", Self.signedHeaders(request)),
        ]
        if let token = credentials.sessionToken { whole.query.append(("X-Amz-Security-Token", token)) }
        let canonical = Self.canonical(whole, payload: Self.unsignedPayload)
        let signature = signature(of: canonical, timestamp: timestamp)
        return Self.encoded(whole.query) + "&X-Amz-Signature=\(signature)"
    }

    /// A query as it is signed, which is also how it is sent: encoded, then sorted by name and value.
    static func encoded(_ query: [(name: String, value: String)]) -> String {
        query.map { (PercentEncoding.component($0.name), PercentEncoding.component($0.value)) }
            .sorted { $0 < $1 }
            .map { "\($0)=\($1)" }
            .joined(separator: "&")
    }

    /// The canonical request.
    static func canonical(_ request: SignableRequest, payload: String) -> String {
        var values: [String: [String]] = [:]
        for (name, value) in request.headers { values[name.lowercased(), default: []].append(trimmed(value)) }
        let headers = values.sorted { $0.key < $1.key }
            .map { "\($0.key):\($0.value.joined(separator: ","))\n" }
            .joined()
        return [
            request.method, request.path, encoded(request.query), headers, signedHeaders(request), payload,
        ].joined(separator: "\n")
    }

    /// Without spaces around it, and with one for each row of them within.
    private static func trimmed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }

    private static func signedHeaders(_ request: SignableRequest) -> String {
        Set(request.headers.map { $0.name.lowercased() }).sorted().joined(separator: ";")
    }

    private func scope(_ timestamp: String) -> String { "\(timestamp.prefix(8))/\(region)/s3/aws4_request" }

    private func signature(of canonical: String, timestamp: String) -> String {
        let text = [
            Self.algorithm, timestamp, scope(timestamp), Hexadecimal.text(SHA256.hash(data: Data(canonical.utf8))),
        ]
        .joined(separator: "\n")
        let key = key.value(of: String(timestamp.prefix(8)), derivingBy: derivedKey)
        return Hexadecimal.text(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key))
    }

    private func derivedKey(_ day: String) -> SymmetricKey {
        var key = SymmetricKey(data: Data("AWS4\(credentials.secretKey)".utf8))
        for step in [day, region, "s3", "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Data(step.utf8), using: key))
        }
        return key
    }

    /// `20130524T000000Z`.
    static func timestamp(_ time: Date) -> String {
        time.formatted(Date.ISO8601FormatStyle(dateSeparator: .omitted, timeSeparator: .omitted))
    }
}

/// The key of the day, which is derived in four steps, and kept.
private final class DailyKey: Sendable {
    private let last = Mutex<(day: String, key: SymmetricKey)?>(nil)

    func value(of day: String, derivingBy derive: (String) -> SymmetricKey) -> SymmetricKey {
        last.withLock { last in
            if let last, last.day == day { return last.key }
            let key = derive(day)
            last = (day, key)
            return key
        }
    }
}

/// Bytes in small hexadecimal digits.
enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
