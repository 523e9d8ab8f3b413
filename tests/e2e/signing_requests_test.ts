/** Tests limits, warnings and cleaning of certificate signing requests in `tlsboot up`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createSystemClock } from "../../cli/system.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { describeInstance } from "../support/instance_process.ts";

const signal = new AbortController().signal;
const clock = createSystemClock();

describeInstance("limits of requests", {
  args: ["--max-open-requests-per-requester", "2", "--gc-denied", "1s", "--gc-interval", "1s"],
}, (instance) => {
  const { tlsboot } = instance;

  /** Sends the request of a machine with a token once: the API client would try again after 429. */
  async function submit(name: string) {
    const files = createFilePort();
    const cluster = await readCluster(`${instance.data}/admin.kubeconfig`, files);
    await using transport = await createConnector({ files, clock, userAgent: "test" })(cluster);
    const answer = await transport.send({
      method: "POST",
      path: "/apis/certificates.k8s.io/v1/certificatesigningrequests",
      headers: {
        "content-type": "application/json",
        "impersonate-user": "system:bootstrap:abcdef",
        "impersonate-group": "system:bootstrappers:tlsboot",
      },
      body: await buildCsr({ name }),
    }, signal);
    const text = await new Response(ReadableStream.from(answer.body)).text();
    return { status: answer.status, retryAfter: answer.headers["retry-after"], text };
  }

  test("tlsboot up --max-open-requests-per-requester answers 429 beyond the limit, and --gc-denied deletes a denied request", async () => {
    assert.equal((await submit("one")).status, 201);
    assert.equal((await submit("two")).status, 201);
    const refused = await submit("three");
    assert.deepEqual([refused.status, refused.retryAfter], [429, "1"]);
    assert.match(refused.text, /"system:bootstrap:abcdef\\" has 2 open certificate signing requests/);
    assert.match(refused.text, /"reason": ?"TooManyRequests"/);
    assert.equal((await tlsboot("deny", "two")).code, 0);
    assert.equal((await submit("three")).status, 201);
    await instance.running.waitFor(/CSR cleaned.*denied more than 1s ago/);
    const { stdout } = await tlsboot("get", "csr", "-o", "name");
    assert.match(stdout, /\/one\n/);
    assert.doesNotMatch(stdout, /\/two\n/);
  });

  test("tlsboot request and approve report a signer without a controller", async () => {
    const names = ["--signer", "example.com/web", "--dns", "web.example", "--name", "web-1"];
    const request = await instance.succeed("request", ...names, "--out", "web", "--no-wait");
    assert.match(request.stderr, /Warning: no signer for "example\.com\/web" runs in this server: .*tlsboot signer /);
    const described = await tlsboot("describe", "csr", "web-1");
    assert.match(
      described.stdout,
      /\nCertificate: +<none>\n {2}no signer for "example\.com\/web" runs in the server: make sure /,
    );
    const approved = await tlsboot("approve", "web-1");
    assert.match(
      approved.stderr,
      /^approved, but not signed yet: web-1\. .*tlsboot signer --signer example\.com\/web/,
    );
  });
});
