// The flags of the settings on the command line.

import ArgumentParser

/// The flags of all settings but secrets. Names, help and defaults come from the table; only the fact that each setting
/// has a flag is written here, which a test compares with the table.
struct SettingFlags: ParsableArguments {
    @Option(.data) var data: GivenSetting?
    @Option(.storage) var storage: GivenSetting?
    @Option(.databaseConnections) var databaseConnections: GivenSetting?
    @Flag(.databasePreparedStatements) var databasePreparedStatements: Bool?
    @Option(.s3Endpoint) var s3Endpoint: GivenSetting?
    @Option(.s3Region) var s3Region: GivenSetting?
    @Option(.s3Bucket) var s3Bucket: GivenSetting?
    @Option(.s3Addressing) var s3Addressing: GivenSetting?
    @Option(.s3AccessKey) var s3AccessKey: GivenSetting?
    @Option(.s3CertificateAuthority) var s3CertificateAuthority: GivenSetting?
    @Option(.restoreWindow) var restoreWindow: GivenSetting?
    @Flag(.redirectDownloads) var redirectDownloads: Bool?
    @Flag(.readOnly) var readOnly: Bool?
    @Option(.listen) var listen: GivenSetting?
    @Option(.publicURL) var publicURL: GivenSetting?
    @Option(.config) var config: GivenSetting?
    @Flag(.allowPlaintext) var allowPlaintext: Bool?
    @Option(.tlsCertificate) var tlsCertificate: GivenSetting?
    @Option(.tlsKey) var tlsKey: GivenSetting?
    @Flag(.tlsSelfSigned) var tlsSelfSigned: Bool?
    @Option(.jwtIssuer) var jwtIssuer: GivenSetting?
    @Option(.jwtAudience) var jwtAudience: GivenSetting?
    @Option(.jwtKeys) var jwtKeys: GivenSetting?
    @Option(.jwtAlgorithms) var jwtAlgorithms: GivenSetting?
    @Option(.jwtScopeClaim) var jwtScopeClaim: GivenSetting?
    @Option(.jwtScopes) var jwtScopes: GivenSetting?
    @Option(.maxBlobSize) var maxBlobSize: GivenSetting?
    @Option(.maxOpenUploads) var maxOpenUploads: GivenSetting?
    @Option(.quota) var quota: GivenSetting?
    @Option(.minFreeSpace) var minFreeSpace: GivenSetting?
    @Option(.diskReserve) var diskReserve: GivenSetting?
    @Option(.uploadExpiry) var uploadExpiry: GivenSetting?
    @Option(.temporaryExpiry) var temporaryExpiry: GivenSetting?
    @Option(.reclaimInterval) var reclaimInterval: GivenSetting?
    @Option(.reclaimGrace) var reclaimGrace: GivenSetting?
    @Option(.scrubInterval) var scrubInterval: GivenSetting?
    @Option(.scrubRate) var scrubRate: GivenSetting?
    @Flag(.privateDownloads) var privateDownloads: Bool?
    @Option(.corsOrigins) var corsOrigins: GivenSetting?
    @Option(.crossOriginResourcePolicy) var crossOriginResourcePolicy: GivenSetting?
    @Option(.logLevel) var logLevel: GivenSetting?
    @Option(.logFormat) var logFormat: GivenSetting?
    @Option(.auditLog) var auditLog: GivenSetting?
    @Option(.shutdownTimeout) var shutdownTimeout: GivenSetting?
    @Option(.maxConnections) var maxConnections: GivenSetting?
    @Option(.maxConnectionsPerAddress) var maxConnectionsPerAddress: GivenSetting?
    @Option(.trustedProxies) var trustedProxies: GivenSetting?
    @Flag(.proxyProtocol) var proxyProtocol: Bool?
    @Option(.rateLimit) var rateLimit: GivenSetting?
    @Option(.rateLimitPerAddress) var rateLimitPerAddress: GivenSetting?
    @Option(.headerTimeout) var headerTimeout: GivenSetting?
    @Option(.bodyTimeout) var bodyTimeout: GivenSetting?
    @Option(.sendTimeout) var sendTimeout: GivenSetting?
    @Option(.idleTimeout) var idleTimeout: GivenSetting?

    /// The values given on the command line.
    var given: [Setting: String] {
        let options = [
            data, storage, databaseConnections, s3Endpoint, s3Region, s3Bucket, s3Addressing, s3AccessKey,
            s3CertificateAuthority, restoreWindow, listen, publicURL, config, tlsCertificate, tlsKey, jwtIssuer,
            jwtAudience,
            jwtKeys, jwtAlgorithms, jwtScopeClaim, jwtScopes, maxBlobSize, maxOpenUploads, quota, minFreeSpace,
            diskReserve, uploadExpiry, temporaryExpiry, reclaimInterval, reclaimGrace, scrubInterval, scrubRate,
            corsOrigins, crossOriginResourcePolicy, logLevel, logFormat, auditLog, shutdownTimeout, maxConnections,
            maxConnectionsPerAddress, trustedProxies, rateLimit, rateLimitPerAddress, headerTimeout, bodyTimeout,
            sendTimeout, idleTimeout,
        ]
        let flags: [Setting: Bool?] = [
            .databasePreparedStatements: databasePreparedStatements, .redirectDownloads: redirectDownloads,
            .readOnly: readOnly, .allowPlaintext: allowPlaintext, .tlsSelfSigned: tlsSelfSigned,
            .privateDownloads: privateDownloads, .proxyProtocol: proxyProtocol,
        ]
        var given = flags.compactMapValues { $0.map(String.init(describing:)) }
        for case let option? in options { given[option.setting] = option.text }
        return given
    }
}

/// The flags that tell where the data are, for the commands that need nothing else.
struct DataFlags: ParsableArguments {
    @Option(.data) var data: GivenSetting?
    @Option(.config) var config: GivenSetting?

    /// The values given on the command line.
    var given: [Setting: String] {
        var given: [Setting: String] = [:]
        for case let option? in [data, config] { given[option.setting] = option.text }
        return given
    }
}

/// The flag for the commands that add lines to the audit log.
struct AuditFlags: ParsableArguments {
    @Option(.auditLog) var auditLog: GivenSetting?

    /// The value given on the command line.
    var given: [Setting: String] { auditLog.map { [$0.setting: $0.text] } ?? [:] }
}

/// A setting as it was given on the command line, not yet looked at: its errors are told with those from elsewhere.
struct GivenSetting: Sendable {
    let setting: Setting
    let text: String
}

extension Option where Value == GivenSetting? {
    init(_ setting: Setting) {
        self.init(name: .customLong(setting.rawValue), help: ArgumentHelp(setting)) { text in
            GivenSetting(setting: setting, text: text)
        }
    }
}

extension Flag where Value == Bool? {
    init(_ setting: Setting) {
        self.init(name: .customLong(setting.rawValue), inversion: .prefixedNo, help: ArgumentHelp(setting))
    }
}

extension ArgumentHelp {
    fileprivate init(_ setting: Setting) {
        let row = setting.row
        let standard = row.standard.map { " (default: \($0))" } ?? ""
        self.init("\(row.summary)\(standard)", valueName: row.placeholder)
    }
}
