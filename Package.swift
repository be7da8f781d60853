// swift-tools-version: 6.2

import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let asn1 = product(name: "SwiftASN1", package: "swift-asn1")
    static let certificateReloading = product(name: "NIOCertificateReloading", package: "swift-nio-extras")
    static let configuration = product(name: "Configuration", package: "swift-configuration")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let cryptoExtras = product(name: "CryptoExtras", package: "swift-crypto")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let sqlite = product(name: "GRDBSQLite", package: "GRDB.swift")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let jwtKit = product(name: "JWTKit", package: "jwt-kit")
    static let logging = product(name: "Logging", package: "swift-log")
    static let metrics = product(name: "Metrics", package: "swift-metrics")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let nioExtras = product(name: "NIOExtras", package: "swift-nio-extras")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioHTTP2 = product(name: "NIOHTTP2", package: "swift-nio-http2")
    static let nioHTTPTypes = product(name: "NIOHTTPTypes", package: "swift-nio-extras")
    static let nioHTTPTypesHTTP2 = product(name: "NIOHTTPTypesHTTP2", package: "swift-nio-extras")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let nioTLS = product(name: "NIOTLS", package: "swift-nio")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let systemPackage = product(name: "SystemPackage", package: "swift-system")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let xmlCoder = product(name: "XMLCoder", package: "XMLCoder")
    static let x509 = product(name: "X509", package: "swift-certificates")
}

let package = Package(
    name: "blobd",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "blob", targets: ["blob"]),
        .executable(name: "blobd", targets: ["blobd"]),
        .library(name: "BlobClient", targets: ["BlobClient", "BlobCore"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: [.defaults, "YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/CoreOffice/XMLCoder", from: "0.18.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),

        .systemLibrary(name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        .target(name: "CLinux"),

        .target(name: "BlobCore", dependencies: [.crypto], swiftSettings: swiftSettings),
        .target(
            name: "BlobClient",
            dependencies: [
                "BlobCore", .asyncHTTPClient, .crypto, .nioCore, .nioHTTP1, .nioPosix, .nioSSL, .systemPackage,
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "BlobStorage",
            dependencies: ["BlobCore", "CLibcrypto", "CLinux", .crypto, .logging, .metrics, .nioCore],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "BlobStorageTesting",
            dependencies: ["BlobCore", "BlobStorage", .nioCore],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "LocalBackend",
            dependencies: [
                "BlobCore", "BlobStorage", "Program", .grdb, .logging, .metrics, .nioCore, .nioPosix, .sqlite,
                .systemPackage,
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "S3Client",
            dependencies: [
                "BlobCore", .asyncHTTPClient, .crypto, .logging, .nioCore, .nioHTTP1, .nioPosix, .nioSSL, .xmlCoder,
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "PostgresPool", dependencies: ["BlobCore", "CLibpq", .logging, .metrics], swiftSettings: swiftSettings
        ),
        .target(
            name: "CloudBackend",
            dependencies: [
                "BlobCore", "BlobStorage", "PostgresPool", "S3Client", .logging, .metrics, .nioCore,
            ],
            resources: [.embedInCode("SQL")],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "HTTPServerCore",
            dependencies: [
                "BlobCore", .httpTypes, .logging, .nioCore, .nioExtras, .nioHTTP2, .nioHTTPTypes,
                .nioHTTPTypesHTTP2, .nioPosix, .nioSSL, .nioTLS, .serviceLifecycle,
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "BlobHTTP",
            dependencies: [
                "BlobCore", "BlobStorage", "HTTPServerCore", .httpTypes, .logging, .metrics, .nioCore, .systemPackage,
            ],
            resources: [.embedInCode("openapi.json")],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "OIDC",
            dependencies: [
                "BlobCore", "BlobStorage", .asyncHTTPClient, .jwtKit, .logging, .nioCore, .nioHTTP1, .nioPosix,
            ],
            swiftSettings: swiftSettings
        ),
        .target(name: "Program", dependencies: [.systemPackage], swiftSettings: swiftSettings),
        .executableTarget(
            name: "blob",
            dependencies: [
                "BlobClient", "BlobCore", "Program", .argumentParser, .crypto, .nioCore, .nioPosix, .systemPackage,
            ],
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "blobd",
            dependencies: [
                "BlobCore", "BlobHTTP", "BlobStorage", "CLinux", "CloudBackend", "HTTPServerCore", "LocalBackend",
                "OIDC", "PostgresPool", "Program", "S3Client", .argumentParser, .asn1,
                .certificateReloading, .configuration, .crypto, .logging, .metrics, .nioCore, .nioPosix, .nioSSL,
                .serviceLifecycle, .systemPackage, .unixSignals, .x509,
            ],
            swiftSettings: swiftSettings
        ),

        .testTarget(name: "BlobCoreTests", dependencies: ["BlobCore"], swiftSettings: swiftSettings),
        .testTarget(
            name: "BlobClientTests",
            dependencies: [
                "BlobClient", "BlobCore", .asyncHTTPClient, .nioCore, .nioHTTP1, .nioPosix, .nioSSL, .systemPackage,
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "FuzzedParsers",
            dependencies: [
                "BlobCore", "BlobHTTP", "BlobStorage", "HTTPServerCore", "OIDC", .httpTypes, .nioCore, .nioHTTPTypes,
            ],
            path: "Tests/fuzz/Parsers",
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzedParsers"], path: "Tests/fuzz/Replay", swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "BlobStorageTests",
            dependencies: ["BlobCore", "BlobStorage", "BlobStorageTesting", .crypto, .logging, .nioCore],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "LocalBackendTests",
            dependencies: [
                "BlobCore", "BlobStorage", "BlobStorageTesting", "LocalBackend", .grdb, .nioPosix, .systemPackage,
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "OIDCTests",
            dependencies: [
                "BlobCore", "BlobHTTP", "BlobStorage", "BlobStorageTesting", "HTTPServerCore", "OIDC", .crypto,
                .cryptoExtras, .httpTypes, .logging, .nioCore, .nioPosix,
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "S3ClientTests",
            dependencies: [
                "BlobCore", "S3Client", .asyncHTTPClient, .crypto, .logging, .nioCore, .nioHTTP1, .nioPosix,
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(name: "PostgresPoolTests", dependencies: ["PostgresPool", .logging], swiftSettings: swiftSettings),
        .testTarget(
            name: "CloudBackendTests",
            dependencies: [
                "BlobCore", "BlobStorage", "BlobStorageTesting", "CloudBackend", "PostgresPool", "S3Client", .logging,
                .nioCore,
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "HTTPServerCoreTests",
            dependencies: ["HTTPServerCore", .httpTypes, .nioCore, .nioEmbedded, .nioHTTPTypes, .nioPosix],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "BlobHTTPTests",
            dependencies: [
                "BlobCore", "BlobHTTP", "BlobStorage", "BlobStorageTesting", "HTTPServerCore", .httpTypes, .logging,
                .nioCore, .nioEmbedded,
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "blobTests",
            dependencies: ["BlobClient", "BlobCore", "blob", .argumentParser, .systemPackage],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "blobdTests",
            dependencies: [
                "BlobCore", "BlobStorage", "BlobStorageTesting", "OIDC", "Program", "blobd", .argumentParser, .asn1,
                .certificateReloading,
                .crypto, .logging, .metrics, .nioSSL, .systemPackage, .x509,
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "BlobClient", "BlobCore", "S3Client", "blob", "blobd", .crypto, .logging, .nioCore, .nioPosix,
            ],
            swiftSettings: swiftSettings
        ),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzzer has no main function of its own: it links by Tests/fuzz/run alone.
if Context.environment["BLOBD_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzz", dependencies: ["FuzzedParsers"], path: "Tests/fuzz/Fuzzer", swiftSettings: swiftSettings
        )
    )
}
