// Replies that are read and that are refused, the decoding of keys, and configurations that are refused.

import Foundation
import Logging
import NIOCore
import Testing

@testable import S3Client

@Suite("Documents, times and settings")
struct DocumentTests {
    @Test("a list is read, whatever stands around it", arguments: ["", "\n  \r\n", "\u{feff}"])
    func list(_ before: String) throws {
        let text = """
            \(before)<?xml version="1.0" encoding="UTF-8"?><!-- a comment -->
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Name>b</Name> <EncodingType>url</EncodingType>
              <Contents><Key>a+%26%2B</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>
                <ETag>&quot;x &amp; y&quot;</ETag><Size>5</Size><Owner><ID>o</ID></Owner></Contents>
              <Contents><Key>b</Key><LastModified>2013-05-24T00:00:00Z</LastModified><Size>9223372036854775807</Size>
              </Contents>
              <IsTruncated>true</IsTruncated>
            </ListBucketResult>
            """
        let list = try Documents.decode(ListReply.self, from: ByteBuffer(string: text))
        #expect(list.isTruncated && list.encoding == "url")
        #expect(list.objects.map(\.key) == ["a+%26%2B", "b"])
        #expect(list.objects.map(\.size) == [5, .max])
        #expect(list.objects[0].eTag == "\"x & y\"")
        let empty = "<s3:ListBucketResult xmlns:s3='x'><s3:IsTruncated>false</s3:IsTruncated></s3:ListBucketResult>"
        #expect(try Documents.decode(ListReply.self, from: ByteBuffer(string: empty)).objects.isEmpty)
    }

    @Test(
        "another document is refused",
        arguments: [
            "", " ", "no XML", "<", "<>", "<?xml version=\"1.0\"?>", "<?xml", "<!-- ", "<html><body/></html>",
            "<ListBucketResult>", "<ListBucketResult/>", "<ListBucketResult></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated>",
            "<ListBucketResult><IsTruncated>maybe</IsTruncated>"
                + "</ListBucketResult>",
            "<ListBucketResult><IsTruncated></IsTruncated></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents/></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>x</Size>"
                + "<LastModified>y</LastModified></Contents></ListBucketResult>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
            "<Error><Code>InternalError</Code></Error>",
        ])
    func strange(_ text: String) {
        let error = #expect(throws: S3Error.self) {
            try Documents.decode(ListReply.self, from: ByteBuffer(string: text))
        }
        #expect(error?.kind == .unexpectedReply)
    }

    @Test(
        "every document has to have what is needed of it",
        arguments: ["InitiateMultipartUploadResult", "CopyPartResult", "ListMultipartUploadsResult", "Error"])
    func lacking(_ root: String) {
        let body = ByteBuffer(string: "<\(root)><Other>x</Other></\(root)>")
        #expect(throws: S3Error.self) {
            switch root {
            case CreationReply.root: _ = try Documents.decode(CreationReply.self, from: body)
            case CopyReply.root: _ = try Documents.decode(CopyReply.self, from: body)
            case UploadsReply.root: _ = try Documents.decode(UploadsReply.self, from: body)
            default: _ = try Documents.decode(ErrorReply.self, from: body)
            }
        }
    }

    @Test("texts are escaped in what is sent")
    func sent() {
        #expect(
            String(buffer: Documents.deletion(of: ["a&b", "<c>", "\"d\""])).contains(
                "<Object><Key>a&amp;b</Key></Object><Object><Key>&lt;c&gt;</Key></Object>"
                    + "<Object><Key>&quot;d&quot;</Key></Object>"))
        #expect(
            String(buffer: Documents.completion(of: [S3Part(number: 3, eTag: "\"x\"")])).contains(
                "<Part><PartNumber>3</PartNumber><ETag>&quot;x&quot;</ETag></Part>"))
    }

    @Test(
        "times are read",
        arguments: [
            ("2013-05-24T00:00:01Z", 1.0), ("2013-05-24T00:00:00.500Z", 0.5), ("yesterday", nil), ("", nil),
            ("2013-05-24", nil), ("Fri, 24 May 2013 00:00:02 GMT", nil),
        ])
    func times(_ text: String, _ seconds: Double?) {
        let time = S3Time.iso8601(text)
        #expect(time == seconds.map { Date(timeIntervalSince1970: 1_369_353_600 + $0) })
    }

    // MARK: Settings

    private static let sound = S3Configuration(
        endpoint: "http://127.0.0.1:1", bucket: "blobs",
        credentials: S3Configuration.Credentials(accessKey: "key", secretKey: "very-secret"))

    @Test(
        "the bucket's address",
        arguments: [
            ("https://s3.example.com", "blobs", "https s3.example.com /blobs", "https blobs.s3.example.com /"),
            ("https://S3.example.com:443/", "blobs", "https s3.example.com /blobs", "https blobs.s3.example.com /"),
            ("http://h:8080", "my-b.x", "http h:8080 /my-b.x", "http my-b.x.h:8080 /"),
            ("http://10.0.0.7:80", "blobs", "http 10.0.0.7 /blobs", nil),
            ("http://[::1]:9000", "blobs", "http [::1]:9000 /blobs", nil),
            ("https://s3.example.com", "a.b", "https s3.example.com /a.b", nil),
        ] as [(String, String, String, String?)])
    func addresses(_ endpoint: String, _ bucket: String, _ byPath: String, _ byHost: String?) throws {
        var configuration = Self.sound
        (configuration.endpoint, configuration.bucket) = (endpoint, bucket)
        try configuration.validate()
        let address = try BucketAddress(configuration)
        #expect("\(address.scheme) \(address.host) \(address.path(of: nil))" == byPath)
        #expect(address.path(of: "a b") == "/\(bucket)/a%20b")
        configuration.addressing = .virtualHost
        let other = try? BucketAddress(configuration)
        #expect(other.map { "\($0.scheme) \($0.host) \($0.path(of: nil))" } == byHost)
    }

    @Test(
        "an endpoint that cannot be one is refused",
        arguments: [
            "", "s3.example.com", "ftp://s3.example.com", "https://", "https://u:p@h", "https://h/bucket",
            "https://h?x",
            "https://h#x", "https://h:0", "https://h:70000", "https://h h", "10.0.0.7:8080",
        ])
    func wrongEndpoint(_ endpoint: String) {
        refuses { $0.endpoint = endpoint }
    }

    @Test(
        "a bucket's name that cannot be one is refused",
        arguments: ["", "ab", "-ab", "ab-", "A-b", "a/b", "a_b", "a b"])
    func wrongBucket(_ bucket: String) {
        refuses { $0.bucket = bucket }
    }

    @Test("other settings that cannot work are refused")
    func wrongSettings() {
        refuses { $0.region = "" }
        refuses { $0.region = "us east" }
        refuses { $0.credentials.accessKey = "" }
        refuses { $0.credentials.secretKey = "secret\n" }
        refuses { $0.credentials.sessionToken = "" }
        refuses { $0.connectionLimit = 0 }
        refuses { $0.connectTimeout = .zero }
        refuses { $0.callTimeout = .seconds(-1) }
        refuses { $0.retries.tries = 0 }
        refuses { $0.retries.totalTime = .zero }
        refuses { $0.retries.firstPause = .seconds(-1) }
        refuses { $0.circuitBreaking.failures = 0 }
        refuses { $0.certificateAuthority = "/nonexistent/ca.pem" }
    }

    private func refuses(
        sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout S3Configuration) -> Void
    ) {
        var configuration = Self.sound
        change(&configuration)
        let error = #expect(throws: S3Error.self, sourceLocation: sourceLocation) {
            _ = try S3Bucket(configuration, logger: Logger(label: "test"))
        }
        #expect(error?.kind == .invalidConfiguration, sourceLocation: sourceLocation)
        #expect(error?.message.contains("secret\n") == false, sourceLocation: sourceLocation)
    }

    @Test("no description tells the secret")
    func secrets() {
        var configuration = Self.sound
        configuration.credentials.sessionToken = "very-secret-token"
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped, "\(configuration.credentials)"] {
            #expect(text.contains("key") && !text.contains("very-secret"))
        }
    }
}
