// Certificates: the one the server makes, and those it is given.

import BlobStorage
import Crypto
import Foundation
import Logging
import NIOCertificateReloading
import NIOSSL
import SwiftASN1
import Testing
import X509

@testable import blobd

struct SelfSignedCertificateTests {
    private let now = Date(timeIntervalSince1970: 1_750_000_000)

    @Test func properties() throws {
        let made = try SelfSignedCertificate(hostName: "box.example.org", now: now)
        let certificate = made.certificate
        #expect(certificate.publicKey == Certificate.PublicKey(made.key.publicKey))
        #expect(certificate.publicKey.isValidSignature(certificate.signature, for: certificate))
        #expect(certificate.issuer == certificate.subject)
        #expect(certificate.notValidBefore <= now)
        #expect(certificate.notValidAfter == now + 365 * 86_400)
        #expect(try certificate.extensions.basicConstraints == .notCertificateAuthority)
        #expect(try certificate.extensions.keyUsage == nil)
        #expect(try certificate.extensions.extendedKeyUsage?.contains(.serverAuth) == true)
        let names = try #require(try certificate.extensions.subjectAlternativeNames)
        #expect(
            Array(names) == [
                .dnsName("localhost"), .dnsName("box.example.org"),
                .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
                .ipAddress(ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
            ]
        )
        #expect(try SelfSignedCertificate(hostName: nil, now: now).certificate.serialNumber != certificate.serialNumber)
    }

    @Test func keptUntilAWeekBeforeItsEnd() async throws {
        try await withTemporaryDirectory { directory in
            func keep(_ days: Double) throws -> Certificate? {
                let paths = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: now + days * 86_400)
                #expect(paths == SelfSignedCertificate.Paths(in: directory))
                return try SelfSignedCertificate.read(paths)?.certificate
            }
            let first = try #require(try keep(0))
            #expect(try permissions(of: directory + "/tls") == 0o700)
            #expect(try permissions(of: directory + "/tls/key.pem") == 0o600)
            #expect(try permissions(of: directory + "/tls/certificate.pem") == 0o644)
            #expect(try keep(0) == first)
            #expect(try keep(358) == first)
            let second = try #require(try keep(358.1))
            #expect(second != first)
            // A clock that was wrong when it was made.
            #expect(try keep(0) != second)
        }
    }

    @Test(arguments: ["certificate.pem", "key.pem"])
    func replacedWhenDamaged(name: String) async throws {
        try await withTemporaryDirectory { directory in
            let paths = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: now)
            let first = try SelfSignedCertificate.read(paths)?.certificate
            try Data("?".utf8).write(to: URL(filePath: directory + "/tls/" + name))
            _ = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: now)
            let second = try #require(try SelfSignedCertificate.read(paths))
            #expect(second.certificate != first)
            #expect(second.certificate.publicKey == Certificate.PublicKey(second.key.publicKey))
        }
    }

    @Test func replacedWhenTheKeyIsAnothers() async throws {
        try await withTemporaryDirectory { directory in
            let paths = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: now)
            let first = try SelfSignedCertificate.read(paths)?.certificate
            try Data(P256.Signing.PrivateKey().pemRepresentation.utf8).write(to: URL(filePath: paths.key))
            _ = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: now)
            #expect(try SelfSignedCertificate.read(paths)?.certificate != first)
        }
    }

    @Test func folderThatCannotBeMade() {
        let error = #expect(throws: OperatorError.self) {
            try SelfSignedCertificate.keep(in: "/nowhere/at/all", hostName: nil, now: now)
        }
        #expect(
            error?.description
                == "cannot keep a self-signed certificate in /nowhere/at/all/tls: No such file or directory"
        )
    }
}

struct TLSMaterialTests {
    private let protocols = ["h2", "http/1.1"]
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test func offersItsProtocols() async throws {
        try await withTemporaryDirectory { directory in
            let paths = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: Date())
            let material = try TLSMaterial(
                certificatePath: paths.certificate, keyPath: paths.key, protocols: protocols, logger: logger)
            #expect(material.configuration.applicationProtocols == ["h2", "http/1.1"])
            #expect(material.configuration.minimumTLSVersion == .tlsv12)
            #expect(material.certificatePath == paths.certificate)
        }
    }

    @Test func readsChangedFilesAgainAndKeepsTheLastGoodOnes() async throws {
        try await withTemporaryDirectory { directory in
            let paths = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: Date())
            let material = try TLSMaterial(
                certificatePath: paths.certificate, keyPath: paths.key, protocols: protocols, logger: logger)
            func shown() -> [NIOSSLCertificateSource]? {
                material.reloader.sslContextConfigurationOverride.certificateChain
            }
            let first = shown()

            try Data().write(to: URL(filePath: paths.certificate))
            #expect(throws: (any Error).self) { try material.reloader.reload() }
            #expect(shown() == first)

            _ = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: Date())
            for (path, mode) in [(paths.certificate, 0o666), (paths.key, 0o604)] {
                let kept = try #require(try permissions(of: path))
                #expect(chmod(path, mode_t(mode)) == 0)
                let error = #expect(throws: (any Error).self) { try material.reloader.reload() }
                #expect(error.map { "\($0)" }?.contains("chmod") == true)
                #expect(shown() == first)
                #expect(chmod(path, mode_t(kept)) == 0)
            }
            try material.reloader.reload()
            #expect(shown() != first)
        }
    }

    @Test func filesThatDoNotFit() async throws {
        try await withTemporaryDirectory { directory in
            let paths = try SelfSignedCertificate.keep(in: directory, hostName: nil, now: Date())
            let other = directory + "/other.pem"
            try Data(P256.Signing.PrivateKey().pemRepresentation.utf8).write(to: URL(filePath: other))
            for (certificate, key) in [
                (paths.certificate, other), (paths.certificate, directory + "/none"), (directory + "/none", paths.key),
                (paths.key, paths.key), (paths.certificate, paths.certificate),
            ] {
                let error = #expect(throws: OperatorError.self) {
                    try TLSMaterial(certificatePath: certificate, keyPath: key, protocols: protocols, logger: logger)
                }
                let text = error?.description ?? ""
                #expect(
                    text.hasPrefix("tls-certificate '\(certificate)' and tls-key '\(key)' must be readable PEM files"))
                #expect(!text.contains("\n") && !text.contains("Error") && !text.contains(".swift"), "\(text)")
            }
        }
    }
}
