// Signatures beside those that Amazon publishes and those that Amazon's own library makes.

import BlobCore
import Crypto
import Foundation
import Testing

@testable import S3Client

@Suite("Signatures")
struct SignatureTests {
    // MARK: Published

    /// Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", its four examples.
    struct Published: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var request: SignableRequest
        var body = ""
        var signature: String

        static let all = [
            Published(
                testDescription: "GET Object",
                request: SignableRequest(
                    method: "GET", path: "/test.txt",
                    headers: [("Host", "examplebucket.s3.amazonaws.com"), ("Range", "bytes=0-9")]),
                signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            Published(
                testDescription: "PUT Object",
                request: SignableRequest(
                    method: "PUT", path: "/" + PercentEncoding.path("test$file.text"),
                    headers: [
                        ("Host", "examplebucket.s3.amazonaws.com"), ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                    ]),
                body: "Welcome to Amazon S3.",
                signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            Published(
                testDescription: "GET Bucket Lifecycle",
                request: SignableRequest(
                    method: "GET", path: "/", query: [("lifecycle", "")],
                    headers: [("Host", "examplebucket.s3.amazonaws.com")]),
                signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            Published(
                testDescription: "Get Bucket (List Objects)",
                request: SignableRequest(
                    method: "GET", path: "/", query: [("prefix", "J"), ("max-keys", "2")],
                    headers: [("Host", "examplebucket.s3.amazonaws.com")]),
                signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ]
    }

    private static let amazon = SignatureV4(
        credentials: S3Configuration.Credentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1")
    /// 20130524T000000Z
    private static let may = Date(timeIntervalSince1970: 1_369_353_600)

    @Test("as Amazon publishes them", arguments: Published.all)
    func published(_ example: Published) {
        let headers = Self.amazon.headers(for: example.request, payload: Self.hash(example.body), at: Self.may)
        #expect(Self.signature(in: headers) == example.signature)
        #expect(Self.value("x-amz-date", in: headers) == "20130524T000000Z")
    }

    @Test("the string of signed headers, as Amazon publishes it")
    func publishedHeader() {
        let headers = Self.amazon.headers(for: Published.all[1].request, payload: Self.hash(""), at: Self.may)
        let start =
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            + "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature="
        #expect(Self.value("Authorization", in: headers)?.hasPrefix(start) == true)
    }

    @Test("the canonical request, as Amazon publishes it")
    func canonicalRequest() {
        let request = SignableRequest(
            method: "GET", path: "/test.txt",
            headers: [
                ("Host", "examplebucket.s3.amazonaws.com"), ("Range", "bytes=0-9"),
                ("x-amz-content-sha256", Self.hash("")), ("x-amz-date", "20130524T000000Z"),
            ])
        #expect(
            SignatureV4.canonical(request, payload: Self.hash("")) == """
                GET
                /test.txt

                host:examplebucket.s3.amazonaws.com
                range:bytes=0-9
                x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
                x-amz-date:20130524T000000Z

                host;range;x-amz-content-sha256;x-amz-date
                e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
                """)
    }

    /// "Authenticating Requests: Using Query Parameters", its example.
    @Test("a presigned address, as Amazon publishes it")
    func presigned() {
        let request = SignableRequest(
            method: "GET", path: "/test.txt", headers: [("Host", "examplebucket.s3.amazonaws.com")])
        let query = Self.amazon.presignedQuery(for: request, expiresIn: 86_400, at: Self.may)
        #expect(
            query == "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                + "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    }

    // MARK: Beside Amazon's library

    /// The signature by botocore 1.43.11: `botocore.auth.S3SigV4Auth(Credentials("AK", "secret/+key", token), "s3",
    /// "eu-central-1")` at 2024-02-29T23:59:58Z, for `http://10.0.0.7:8080/blobs/` and the key, where key and query
    /// were encoded by `urllib.parse.quote` with the safe characters `-._~`, and `/` in the key.
    struct Vector: Sendable, CustomTestStringConvertible {
        var method = "PUT"
        var key = "k"
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body = ""
        var token: String?
        var signature: String

        var testDescription: String { "\(key) \(query)" }

        static let keys = [
            ("plain", "08fbcfb80d49d18624a4ea04d03265d6a973b444ba42b99a977161cba12321d8"),
            ("a b", "e806ef07066db548fa41a172e92e8440da15359c02642ffacb2999ecfc70670a"),
            ("a+b", "d19fb0914202745aceeed0b6ff24a74adb89c21836d1e713497ef2ce5d8abb15"),
            ("100%", "bdc9dd343c85d329ec7d92425e078f96f0aa1ffb44fd4c658d6123124650d579"),
            ("a%20b", "b2239dc5e8ff31cdc6e1ad614cab46046a71409ffe45b8e92ecdc49b22476c53"),
            ("~tilde-._", "ca95fb37a386e22deea722bb8c8ffb65a67b2506c9847e40d2b48e89739c8d25"),
            ("a//b", "ebfb3fe7f59363e1297ab4a0d57fc24a1cce344cf5513792f9a08800e200c559"),
            ("/a", "0a7e6ffbe8d838687774d6d57723dd198fc27d63068d6c5b476a59863d2d9149"),
            ("a/", "a6726dc25329ae72de422fdf1bcc0ccaf09041f6958412ccc16e3526914eaf1f"),
            ("../c", "b679b31aa82d9f8045680bf4318bc1ab369a45051f62850839fb04ff1d940e52"),
            ("a/./b", "a54c546184de4f6410fc1125bc90a0ebbaa9df09173f3838e63be74f590c04ca"),
            ("&=?#@:;,$", "c5e21154ffcae4ce881d31c0d567dd8be3a5089919122f1c8cfce04e5df11656"),
            ("'()*!", "3bfef4e8d11fe154017ebc7438f4a12ec1544353d10dd6175b01a25c400b7d17"),
            ("<xml>\"\\", "d007c754050d268d2bb2709a6a34e865c10898fe1ef123269fa35a6e9d898c97"),
            (
                "\u{fc}n\u{ef}c\u{f8}d\u{e9}/\u{65e5}\u{672c}\u{8a9e}",
                "5847efa9dc2d87d667120a6a271db5ee844ac0229ee76a12293b400f87a6f5aa"
            ),
            ("e\u{301}", "0e50f9cc655c3595523a3faf17eac69cc2a481cf7ac8beb7a964242fb1e203c8"),
            ("\u{1f98a} fox", "83b87aa6cbc1a82132aa23b4f8fc6e5eab589b1a707cdf583b1cea23d10a28df"),
            ("tab\u{9}here", "1c4debc77549cb5b3d00e2d7708dc9f0ef25909808736bef93b5509da260d381"),
            ("nul\u{1}", "23f1ae9bd9f180bc8138a2f3b6b4f59a184acb054e4e57f06287b4ccc57dcfa2"),
        ].map { Vector(method: "GET", key: $0.0, signature: $0.1) }

        static let requests = [
            Vector(
                query: [("partNumber", "1"), ("uploadId", "2~a/b+c=")], body: "part",
                signature: "0509f3e42ef6586518a9013d49189cc33beadcedf20e52185474981ecee96db7"),
            Vector(
                query: [("uploads", "")], headers: [("Content-Type", "text/plain")],
                signature: "5b749280e5ef080dfa3fc286eb0684a508540086802b12850ce262c020ab7c75"),
            Vector(
                key: "",
                query: [("prefix", "a b/\u{fc}+%"), ("list-type", "2"), ("start-after", "~"), ("max-keys", "10")],
                signature: "b196d0491dc14b183a99c4c9070153bcbecadadfd537fa118c1405946272ebd3"),
            Vector(
                query: [("b", "2"), ("a", "2"), ("a", "1"), ("B", "0")],
                signature: "8ae6395811dca5fa3ade6968c4dd5d78ce650d9b6fd4ea6483154e03b9702335"),
            Vector(
                headers: [("Range", "bytes=0-9"), ("If-Match", "\"abc\""), ("x-amz-copy-source", "/blobs/a%20b")],
                signature: "230ff36364fb2f9b27558972f50e133548ac8a00903a3d05e1001612cfa5f2f5"),
            Vector(
                headers: [("x-amz-meta-a", "  several   spaces  ")],
                signature: "9b159061ac8d62f2803e22b6998e2bffd08c0148b61224f4b58768b4ddffe953"),
            Vector(
                body: "body", token: "to/ken+==",
                signature: "b624f135c407b17053d53e4c5db45eba4253a572cfb49425c7820b6e43fe0dda"),
        ]
    }

    /// 2024-02-29T23:59:58Z
    private static let leapDay = Date(timeIntervalSince1970: 1_709_251_198)

    private static func signer(token: String?) -> SignatureV4 {
        SignatureV4(
            credentials: S3Configuration.Credentials(
                accessKey: "AK", secretKey: "secret/+key", sessionToken: token),
            region: "eu-central-1")
    }

    @Test("as Amazon's library makes them, for awkward keys", arguments: Vector.keys)
    func keys(_ vector: Vector) { check(vector) }

    @Test("as Amazon's library makes them, for queries and headers", arguments: Vector.requests)
    func requests(_ vector: Vector) { check(vector) }

    private func check(_ vector: Vector) {
        let request = SignableRequest(
            method: vector.method, path: "/blobs/" + PercentEncoding.path(vector.key), query: vector.query,
            headers: [("Host", "10.0.0.7:8080")] + vector.headers)
        let headers = Self.signer(token: vector.token)
            .headers(for: request, payload: Self.hash(vector.body), at: Self.leapDay)
        #expect(Self.signature(in: headers) == vector.signature)
        #expect(Self.value("x-amz-security-token", in: headers) == vector.token)
    }

    /// The same, by `botocore.auth.S3SigV4QueryAuth` for `https://s3.example.com`.
    @Test("presigned addresses as Amazon's library makes them")
    func presignedBesideLibrary() {
        let disposition = #"attachment; filename="a b.pdf"; filename*=UTF-8''a%20b.pdf"#
        let first = Self.signer(token: nil).presignedQuery(
            for: SignableRequest(
                method: "GET", path: "/blobs/" + PercentEncoding.path("a b/\u{fc}+.pdf"),
                query: [
                    ("response-content-type", "application/pdf"), ("response-content-disposition", disposition),
                ], headers: [("Host", "s3.example.com")]), expiresIn: 3600, at: Self.leapDay)
        #expect(
            first.hasSuffix("Signature=3f7d1b43f709286c09142b4c8894c1c00cacb4a5b862a569a0a295254471cfe0"))
        let second = Self.signer(token: "to/ken+==").presignedQuery(
            for: SignableRequest(method: "GET", path: "/blobs/k", headers: [("Host", "s3.example.com")]),
            expiresIn: 604_800, at: Self.leapDay)
        #expect(
            second.hasSuffix("Signature=47d273b63adb3004802653db3b48029313ddee7ff2cbb3ec97f8bbc05c6856c1"))
    }

    // MARK: Reading signed addresses

    private static func hash(_ text: String) -> String { Hexadecimal.text(SHA256.hash(data: Data(text.utf8))) }

    private static func value(_ name: String, in headers: [(name: String, value: String)]) -> String? {
        headers.first { $0.name == name }?.value
    }

    private static func signature(in headers: [(name: String, value: String)]) -> String? {
        value("Authorization", in: headers)?.components(separatedBy: "Signature=").last
    }
}
