// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "App",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "blobd", path: "../..")],
    targets: [
        .executableTarget(
            name: "App",
            dependencies: [.product(name: "BlobClient", package: "blobd")],
            swiftSettings: [.treatAllWarnings(as: .error)]
        )
    ],
    swiftLanguageModes: [.v6]
)
