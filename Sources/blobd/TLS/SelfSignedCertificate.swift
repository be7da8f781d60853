// A certificate that the server makes for itself, for trying out TLS.

import BlobStorage
import Crypto
import Foundation
import Glibc
import Program
import SwiftASN1
import SystemPackage
import X509

/// A certificate and its key in PEM, for `localhost`, the loopback addresses and this machine's name.
struct SelfSignedCertificate {
    let certificate: Certificate
    let key: P256.Signing.PrivateKey

    private static let life: TimeInterval = 365 * 86_400
    /// A certificate with less than this left is replaced.
    private static let leastRest: TimeInterval = 7 * 86_400

    /// A new one, valid for a year.
    init(hostName: String?, now: Date) throws {
        key = P256.Signing.PrivateKey()
        let name = try DistinguishedName { CommonName("blobd on \(hostName ?? "localhost")") }
        let privateKey = Certificate.PrivateKey(key)
        certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: privateKey.publicKey,
            // An hour back, for clients whose clock is a little late.
            notValidBefore: now - 3_600,
            notValidAfter: now + Self.life,
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                // It vouches for itself and for nothing else, even where somebody trusts it. No key usage: without the
                // one for signing certificates BoringSSL, and `blob` with it, would not take it for its own issuer.
                Critical(BasicConstraints.notCertificateAuthority)
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(Self.alternativeNames(hostName: hostName))
            },
            issuerPrivateKey: privateKey
        )
    }

    private init(certificate: Certificate, key: P256.Signing.PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    private static func alternativeNames(hostName: String?) -> [GeneralName] {
        var names: [GeneralName] = [.dnsName("localhost")]
        if let hostName, hostName != "localhost" { names.append(.dnsName(hostName)) }
        let loopbackV6: [UInt8] = Array(repeating: 0, count: 15) + [1]
        for address in [[127, 0, 0, 1], loopbackV6] {
            names.append(.ipAddress(ASN1OctetString(contentBytes: address[...])))
        }
        return names
    }

    /// Whether it can go on being used: its key fits, and it is neither too young nor too old.
    private func isUsable(at now: Date) -> Bool {
        certificate.publicKey == Certificate.PrivateKey(key).publicKey
            && certificate.notValidBefore <= now
            && certificate.notValidAfter >= now + Self.leastRest
    }
}

extension SelfSignedCertificate {
    /// Where it lies in the data directory.
    struct Paths: Equatable {
        let certificate: String
        let key: String

        init(in directory: String) {
            certificate = FilePath(directory).appending("tls").appending("certificate.pem").string
            key = FilePath(directory).appending("tls").appending("key.pem").string
        }
    }

    /// The one that is kept in the data directory, made anew when there is none or a week before it expires.
    static func keep(in directory: String, hostName: String?, now: Date) throws -> Paths {
        let paths = Paths(in: directory)
        if let kept = try? read(paths), kept.isUsable(at: now) { return paths }

        do {
            let folder = FilePath(directory).appending("tls")
            guard mkdir(folder.string, 0o700) == 0 || errno == EEXIST else { throw Errno(rawValue: errno) }
            let made = try SelfSignedCertificate(hostName: hostName, now: now)
            // A crash between the two leaves a pair that does not fit, which the next start replaces.
            try replaceFile(
                at: FilePath(paths.key), with: Array(made.key.pemRepresentation.utf8), permissions: .ownerReadWrite
            )
            try replaceFile(
                at: FilePath(paths.certificate), with: Array(made.certificate.serializeAsPEM().pemString.utf8),
                permissions: [.ownerReadWrite, .groupRead, .otherRead]
            )
        } catch {
            throw OperatorError("cannot keep a self-signed certificate in \(directory)/tls: \(error)")
        }
        return paths
    }

    /// The pair that lies there.
    static func read(_ paths: Paths) throws -> SelfSignedCertificate? {
        guard
            let certificate = try readFile(
                at: FilePath(paths.certificate), limit: 1 << 20, protection: .unchangedByOthers),
            let key = try readFile(at: FilePath(paths.key), limit: 1 << 20, protection: .readByGroup)
        else { return nil }
        return try SelfSignedCertificate(
            certificate: Certificate(pemEncoded: String(decoding: certificate, as: UTF8.self)),
            key: P256.Signing.PrivateKey(pemRepresentation: String(decoding: key, as: UTF8.self))
        )
    }
}

/// This machine's name, where it is one that a certificate can hold.
func machineName() -> String? {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return nil }
    let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return !name.isEmpty && name.isPlain(with: "-.") ? name : nil
}
