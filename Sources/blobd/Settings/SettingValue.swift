// The types of settings: how each is written.

import BlobHTTP
import Foundation
import HTTPServerCore
import Logging

/// A value that a setting can have, written as text.
protocol SettingValue: Sendable {
    /// Reads a value; `nil` for text of another form or a value out of range.
    init?(settingText: String)

    /// What stands for a value in help, such as `SIZE`.
    static var placeholder: String { get }

    /// What a value looks like, to go on after "must be".
    static var form: String { get }
}

/// Texts, which are all paths.
extension String: SettingValue {
    init?(settingText: String) {
        guard !settingText.isEmpty, !settingText.utf8.contains(0) else { return nil }
        self = settingText
    }

    static var placeholder: String { "PATH" }
    static var form: String { "a path" }
}

/// A name of letters, digits and a few signs.
struct PlainName: SettingValue {
    let text: String

    init?(settingText: String) {
        guard !settingText.isEmpty, settingText.isPlain(with: "._-+/=") else { return nil }
        text = settingText
    }

    static var placeholder: String { "NAME" }
    static var form: String { "a name of letters, digits, '.', '_', '-', '+', '/' and '='" }
}

/// A text that nobody may see.
struct SecretText: SettingValue {
    let text: String

    init?(settingText: String) {
        guard !settingText.isEmpty, !settingText.utf8.contains(0) else { return nil }
        text = settingText
    }

    static var placeholder: String { "SECRET" }
    static var form: String { "a text" }
}

/// The address of a service.
struct ServiceURL: SettingValue {
    let url: URL

    init?(settingText: String) {
        guard let url = URL(string: settingText), ["http", "https"].contains(url.scheme), url.host() != nil,
            ["", "/"].contains(url.path()), url.query() == nil, url.user() == nil
        else { return nil }
        self.url = url
    }

    static var placeholder: String { "URL" }
    static var form: String { "an http or https URL without a path, such as https://s3.example.com" }
}

extension PublicAddress: SettingValue {
    init?(settingText: String) { self.init(settingText) }

    static var placeholder: String { "URL" }
    static var form: String {
        "an http or https URL such as https://pbx.example.com/files, whose path has letters, digits and '-', '.', '_', '~' alone"
    }
}

extension Bool: SettingValue {
    init?(settingText: String) { self.init(settingText) }

    static var placeholder: String { "true|false" }
    static var form: String { "true or false" }
}

extension Int: SettingValue {
    init?(settingText: String) {
        guard let (number, unit) = numberAndUnit(settingText), unit.isEmpty, let value = Int(exactly: number)
        else { return nil }
        self = value
    }

    static var placeholder: String { "COUNT" }
    static var form: String { "a whole number in digits, such as 1000" }
}

/// A number of things of which there is at least one, or the word for another way to find it.
protocol WordOrCount: SettingValue {
    static var word: String { get }
    /// `nil` for the word.
    init(_ count: Int?)
}

extension WordOrCount {
    init?(settingText: String) {
        if settingText == Self.word {
            self.init(nil)
        } else if let count = Int(settingText: settingText), count > 0 {
            self.init(count)
        } else {
            return nil
        }
    }

    static var placeholder: String { "COUNT|\(word)" }
    static var form: String { "\(word), or \(Int.form), and at least 1" }
}

/// A number, or no limit.
struct CountLimit: WordOrCount {
    static let word = "none"
    let count: Int?

    init(_ count: Int?) { self.count = count }
}

/// A number, or what is right here.
struct AutomaticCount: WordOrCount {
    static let word = "auto"
    let count: Int?

    init(_ count: Int?) { self.count = count }
}

/// Requests within a time, or no limit.
struct RateLimit: SettingValue {
    /// `nil` for no limit.
    let rate: RequestRate?

    init?(settingText: String) {
        guard settingText != "none" else {
            rate = nil
            return
        }
        let parts = settingText.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let count = Int(settingText: parts[0]), count > 0,
            let period = Duration(settingText: "1" + parts[1]), ["s", "m", "h"].contains(parts[1])
        else { return nil }
        rate = RequestRate(count: count, per: period)
    }

    static var placeholder: String { "RATE|none" }
    static var form: String {
        "none, or a number of requests within a second, a minute or an hour, such as 100/s, 600/m or 5000/h"
    }
}

/// Networks, or none.
struct NetworkList: SettingValue {
    let networks: [IPNetwork]

    init?(settingText: String) {
        guard settingText != "none" else {
            networks = []
            return
        }
        let texts = settingText.split(separator: ",", omittingEmptySubsequences: false)
        networks = texts.compactMap { IPNetwork($0.drop { $0 == " " }) }
        guard networks.count == texts.count else { return nil }
    }

    static var placeholder: String { "NETWORK,…|none" }
    static var form: String { "none, or networks with a comma between them, such as 10.0.0.0/8,192.0.2.7,fd00::/8" }
}

/// Origins of web pages, all of them, or none.
struct OriginList: SettingValue {
    /// `nil` for none.
    let origins: AllowedOrigins?

    init?(settingText: String) {
        switch settingText {
        case "none": origins = nil
        case "*": origins = .all
        default:
            let texts = settingText.split(separator: ",", omittingEmptySubsequences: false)
            let listed = texts.compactMap { WebOrigin($0.drop { $0 == " " }) }
            guard listed.count == texts.count else { return nil }
            origins = .listed(listed)
        }
    }

    static var placeholder: String { "ORIGIN,…|*|none" }
    static var form: String {
        "none, *, or origins with a comma between them, each a scheme and a host, perhaps a port, and nothing behind it, "
            + "such as https://app.example.com,http://localhost:5173"
    }
}

/// A number of bytes.
struct ByteCount: SettingValue, Comparable {
    let bytes: Int64

    init?(settingText: String) {
        guard let (number, unit) = numberAndUnit(settingText), let factor = Self.factors[unit.lowercased()]
        else { return nil }
        let (bytes, isTooLarge) = number.multipliedReportingOverflow(by: factor)
        guard !isTooLarge else { return nil }
        self.bytes = bytes
    }

    private static let factors: [String: Int64] = [
        "": 1, "b": 1,
        "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50,
        "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000, "pb": 1_000_000_000_000_000,
    ]

    static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    static var placeholder: String { "SIZE" }
    static var form: String { "a size below 8192PiB, such as 4096, 64KiB, 4MiB or 10GB" }
}

/// A number of bytes, or no limit.
struct ByteLimit: SettingValue {
    /// `nil` for no limit.
    let bytes: Int64?

    init?(settingText: String) {
        if settingText == "none" {
            bytes = nil
        } else if let count = ByteCount(settingText: settingText) {
            bytes = count.bytes
        } else {
            return nil
        }
    }

    static var placeholder: String { "SIZE|none" }
    static var form: String { "none, or \(ByteCount.form)" }
}

extension Duration: SettingValue {
    init?(settingText: String) {
        guard let (number, unit) = numberAndUnit(settingText), let factor = Self.milliseconds[unit] else { return nil }
        let (milliseconds, isTooLarge) = number.multipliedReportingOverflow(by: factor)
        // A hundred years: far enough from every overflow in times to come and in nanoseconds.
        guard !isTooLarge, milliseconds <= 36_500 * 86_400_000 else { return nil }
        self = .milliseconds(milliseconds)
    }

    private static let milliseconds: [String: Int64] = [
        "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
    ]

    static var placeholder: String { "TIME" }
    static var form: String { "a duration of at most 36500d, such as 500ms, 1s, 5m, 12h or 7d" }
}

/// A setting that is one of a few words.
protocol SettingChoice: SettingValue, CaseIterable, RawRepresentable where RawValue == String {}

extension SettingChoice {
    init?(settingText: String) { self.init(rawValue: settingText) }

    static var placeholder: String { allCases.map(\.rawValue).joined(separator: "|") }
    static var form: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
}

/// Where everything is kept.
enum StorageKind: String, SettingChoice {
    /// On a disk of this machine.
    case local
    /// In an S3-compatible store and PostgreSQL, beside any number of other nodes.
    case cloud
}

/// How a bucket is named in requests.
enum S3AddressingChoice: String, SettingChoice {
    /// In the host's name at AWS, in the path elsewhere.
    case auto
    case path
    case virtualHost = "virtual-host"
}

/// Which pages may embed downloads, by the header of that name.
enum CrossOriginResourcePolicy: String, SettingChoice {
    /// As fits the origins whose pages may use the server.
    case automatic = "auto"
    case sameSite = "same-site"
    case sameOrigin = "same-origin"
    case crossOrigin = "cross-origin"

    func decided(allowsOrigins: Bool) -> Self {
        guard self == .automatic else { return self }
        return allowsOrigins ? .crossOrigin : .sameSite
    }
}

extension Logger.Level: SettingChoice {}

/// Splits `64KiB` into 64 and `KiB`; `nil` when there is no number of ASCII digits before the unit, or it is too large.
private func numberAndUnit(_ text: String) -> (number: Int64, unit: String)? {
    let digits = text.utf8.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    guard let number = Int64(Substring(digits)), let unit = String(text.utf8.dropFirst(digits.count)) else {
        return nil
    }
    return (number, unit)
}
