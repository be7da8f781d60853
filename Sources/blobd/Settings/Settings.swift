// The settings as the server uses them.

import BlobHTTP
import Foundation
import HTTPServerCore
import Logging

/// The effective settings, each well formed and none against another.
struct Settings: Sendable {
    /// How connections are protected.
    enum Transport: Equatable, Sendable {
        case plaintext
        /// Paths of a certificate chain and its key.
        case tls(certificate: String, key: String)
        /// A certificate that the server makes for itself.
        case selfSigned
    }

    let data: String
    let storage: StorageSettings
    let redirectDownloads: Bool
    /// Whether clients can change nothing.
    let isReadOnly: Bool
    let listen: ListenAddress
    let publicAddress: PublicAddress
    let transport: Transport
    /// `nil` where this server's own tokens alone are taken.
    let signIn: SignInSettings?
    /// In bytes.
    let maxBlobSize: Int64
    let maxOpenUploads: Int
    /// In bytes; `nil` for no limit.
    let quota: Int64?
    /// In bytes.
    let minFreeSpace: Int64
    /// In bytes.
    let diskReserve: Int64
    let uploadExpiry: Duration
    let temporaryExpiry: Duration
    let reclaimInterval: Duration
    let reclaimGrace: Duration
    /// Zero for never.
    let scrubInterval: Duration
    /// In bytes per second.
    let scrubRate: Int64
    let privateDownloads: Bool
    /// `nil` for none.
    let corsOrigins: AllowedOrigins?
    /// Never ``CrossOriginResourcePolicy/automatic``.
    let crossOriginResourcePolicy: CrossOriginResourcePolicy
    let logLevel: Logger.Level
    let logFormat: LogFormat
    /// The path of a file, or `-`; `nil` for none.
    let auditLog: String?
    let shutdownTimeout: Duration
    /// `nil` for as many as the limit of files allows.
    let maxConnections: Int?
    /// `nil` for no limit.
    let maxConnectionsPerAddress: Int?
    let trustedProxies: [IPNetwork]
    let readsProxyHeaders: Bool
    /// `nil` for no limit.
    let rateLimit: RequestRate?
    /// `nil` for no limit.
    let rateLimitPerAddress: RequestRate?
    let headerTimeout: Duration
    let bodyTimeout: Duration
    let sendTimeout: Duration
    let idleTimeout: Duration

    /// - Throws: ``SettingsError`` for settings that contradict each other, all of them at once.
    init(_ effective: EffectiveSettings) throws(SettingsError) {
        data = effective.value(.data)
        storage = try StorageSettings(effective)
        redirectDownloads = effective.value(.redirectDownloads)
        isReadOnly = effective.value(.readOnly)
        listen = effective.value(.listen)
        publicAddress = effective.optionalValue(.publicURL) ?? .untold
        maxBlobSize = effective.value(.maxBlobSize, as: ByteCount.self).bytes
        maxOpenUploads = effective.value(.maxOpenUploads)
        quota = effective.value(.quota, as: ByteLimit.self).bytes
        minFreeSpace = effective.value(.minFreeSpace, as: ByteCount.self).bytes
        diskReserve = effective.value(.diskReserve, as: ByteCount.self).bytes
        uploadExpiry = effective.value(.uploadExpiry)
        temporaryExpiry = effective.value(.temporaryExpiry)
        reclaimInterval = effective.value(.reclaimInterval)
        reclaimGrace = effective.value(.reclaimGrace)
        scrubInterval = effective.value(.scrubInterval)
        scrubRate = effective.value(.scrubRate, as: ByteCount.self).bytes
        privateDownloads = effective.value(.privateDownloads)
        corsOrigins = effective.value(.corsOrigins, as: OriginList.self).origins
        crossOriginResourcePolicy = effective.value(.crossOriginResourcePolicy, as: CrossOriginResourcePolicy.self)
            .decided(allowsOrigins: corsOrigins != nil)
        logLevel = effective.value(.logLevel)
        logFormat = effective.value(.logFormat)
        auditLog = effective.optionalValue(.auditLog)
        shutdownTimeout = effective.value(.shutdownTimeout)
        maxConnections = effective.value(.maxConnections, as: AutomaticCount.self).count
        maxConnectionsPerAddress = effective.value(.maxConnectionsPerAddress, as: CountLimit.self).count
        trustedProxies = effective.value(.trustedProxies, as: NetworkList.self).networks
        readsProxyHeaders = effective.value(.proxyProtocol)
        rateLimit = effective.value(.rateLimit, as: RateLimit.self).rate
        rateLimitPerAddress = effective.value(.rateLimitPerAddress, as: RateLimit.self).rate
        headerTimeout = effective.value(.headerTimeout)
        bodyTimeout = effective.value(.bodyTimeout)
        sendTimeout = effective.value(.sendTimeout)
        idleTimeout = effective.value(.idleTimeout)
        transport = try Self.transport(effective)
        signIn = try SignInSettings(effective)
        guard !readsProxyHeaders || !trustedProxies.isEmpty else {
            throw SettingsError(["\(effective.naming(.proxyProtocol)) needs trusted-proxies, from which it is taken"])
        }
    }

    /// The settings of this process.
    static func effective(flags: [Setting: String]) throws(SettingsError) -> EffectiveSettings {
        try EffectiveSettings(flags: flags, environment: ProcessInfo.processInfo.environment)
    }

    private static func transport(_ effective: EffectiveSettings) throws(SettingsError) -> Transport {
        let certificate: String? = effective.optionalValue(.tlsCertificate)
        let key: String? = effective.optionalValue(.tlsKey)
        let isSelfSigned: Bool = effective.value(.tlsSelfSigned)

        if isSelfSigned, let given = [Setting.tlsCertificate, .tlsKey].first(where: { effective[$0] != nil }) {
            throw SettingsError([
                "\(effective.naming(.tlsSelfSigned)) contradicts \(effective.naming(given)): give one of them"
            ])
        }
        switch (certificate, key) {
        case (let certificate?, let key?):
            return .tls(certificate: certificate, key: key)
        case (_?, nil):
            throw SettingsError(["\(effective.naming(.tlsCertificate)) needs tls-key, the path of its private key"])
        case (nil, _?):
            throw SettingsError(["\(effective.naming(.tlsKey)) needs tls-certificate, the path of its certificate"])
        case (nil, nil):
            if isSelfSigned { return .selfSigned }
            let listen: ListenAddress = effective.value(.listen)
            guard listen.isLoopback || effective.value(.allowPlaintext) else {
                throw SettingsError([
                    "\(effective.naming(.listen)) is open to other machines, which would send tokens in clear: "
                        + "give tls-certificate and tls-key, or tls-self-signed, or allow it with allow-plaintext"
                ])
            }
            return .plaintext
        }
    }
}

extension EffectiveSettings {
    /// The value of a setting that the table gives a default of this type.
    func value<Value: SettingValue>(_ setting: Setting, as type: Value.Type = Value.self) -> Value {
        guard let value: Value = optionalValue(setting) else {
            preconditionFailure("the table gives \(setting.rawValue) no default of the type \(Value.self)")
        }
        return value
    }

    /// The value of a setting that may be missing.
    func optionalValue<Value: SettingValue>(_ setting: Setting) -> Value? {
        self[setting]?.value as? Value
    }

    /// A setting with its value and where it came from, as errors name it.
    func naming(_ setting: Setting) -> String {
        guard let entry = self[setting] else { return setting.rawValue }
        let shown = setting.isSecret ? "the value" : "'\(entry.text)'"
        return "\(setting.rawValue): \(shown) \(entry.origin.phrase(for: setting))"
    }
}
