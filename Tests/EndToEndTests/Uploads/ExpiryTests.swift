// Contract, uploads: an unfinished upload expires a configurable time after its last byte; a completed one's complete
// can be repeated until then.

import Foundation
import Testing

@Suite("Expiry", .inTurn)
struct ExpiryTests {
    @Test("an upload that expired is as unknown as any other, and its bytes go")
    func expires() async throws {
        try await withServer(["--upload-expiry", "8s"] + ReclaimTests.flags) { server in
            let client = try server.admin()
            let upload = try await client.upload(holding: Sample.bytes(1000))
            try await eventually("the upload has expired") {
                try await client.send(.status(of: upload)).status == 404 ? true : nil
            }
            let unknown = Upload(id: PrivateRoutes.nowhere.id, token: upload.token)
            let requests = zip(UploadUnknownTests.operations(on: upload), UploadUnknownTests.operations(on: unknown))
            for (expired, never) in requests {
                let response = try await client.send(expired)
                expect(response, is: .uploadUnknown)
                let other = try await client.send(never).text.replacing(unknown.id, with: "ID")
                #expect(response.text.replacing(upload.id, with: "ID") == other, "no existence leak")
            }
            try await eventually("its bytes are gone from the disk") {
                try server.files(in: "uploads").isEmpty ? true : nil
            }
        }
    }

    @Test("Upload-Expires tells the configured time")
    func told() async throws {
        try await withServer(["--upload-expiry", "2h"]) { server in
            let client = try server.admin()
            let initiated = try await client.send(.initiate())
            let upload = try Upload(initiated)
            for response in [
                initiated, try await client.send(.append(to: upload, [1])), try await client.send(.status(of: upload)),
            ] {
                let expiry = try Dates.http(response.headers["Upload-Expires"])
                #expect(abs(expiry.timeIntervalSinceNow - 7200) < 60)
            }
        }
    }

    @Test("each byte puts it off")
    func putOff() async throws {
        try await withServer(["--upload-expiry", "8s", "--reclaim-interval", "1s"]) { server in
            let client = try server.admin()
            let upload = try await client.initiate()
            let start = ContinuousClock.now
            try await eventually("appends go on past the first expiry", every: .milliseconds(500)) {
                try await client.append([1], to: upload)
                return ContinuousClock.now - start > .seconds(9) ? true : nil
            }
            try await eventually("without more bytes it expires") {
                try await client.send(.status(of: upload)).status == 404 ? true : nil
            }
        }
    }

    @Test("complete can be repeated until the upload's expiry; the file stays")
    func completed() async throws {
        try await withServer(["--upload-expiry", "8s", "--reclaim-interval", "1s"]) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(100)
            let upload = try await client.upload(holding: bytes)
            _ = try await client.complete(upload)
            try await eventually("completing again is over") {
                let again = try await client.send(.complete(upload))
                if again.status != 201 { expect(again, is: .uploadUnknown) }
                return again.status == 201 ? nil : true
            }
            #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
        }
    }
}
