/** Tests certificates of web servers: by a token, by an identity that renews itself, and refusals. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { listUsages } from "../../core/pki/x509/usages.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Finished, type Running, startTlsboot } from "../support/child.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { connectWith, describeInstance } from "../support/instance_process.ts";
import { runCaptured } from "../support/run_captured.ts";

// The default of --timeout.
const REQUEST_TIMEOUT_MS = 900_000;

describeInstance("certificates of web servers", {
  args: ["--web-domain", "home.lan", "--web-network", "192.168.1.0/24"],
}, (instance) => {
  const { tlsboot, succeed } = instance;

  before(async () => void await succeed("request", "web", "later.home.lan"));

  async function readCertificate(out: string): Promise<X509Certificate> {
    return new X509Certificate(await readFile(instance.folder.join(out, "tls.crt")));
  }

  /** Sends a request as the identity of a web server, without waiting. */
  function askAs(out: string, ...args: readonly string[]): Promise<Finished> {
    return tlsboot("request", "--kubeconfig", `${out}/identity.kubeconfig`, "--no-wait", ...args);
  }

  /** Gets a certificate. By then the approver has handled all earlier requests. */
  function requestLater(): Promise<Finished> {
    return succeed("request", "web", "later.home.lan", "--force");
  }

  /** Runs `tlsboot request web` for a certificate that it must not get. It times out once `end` has resolved. */
  function requestInVain(args: readonly string[], end: () => Promise<unknown> = requestLater): Promise<Finished> {
    const endLater = (running: Running) => running.waitFor(/request \S+ made at/).then(end);
    return instance.timeOut(endLater, "request", "web", ...args);
  }

  test("the greeting of a server with a web domain reports what is approved automatically", () => {
    assert.match(
      instance.running.stdout(),
      /\nOnly the renewals of nodes and the requests of web servers in home\.lan are approved automatically\. /,
    );
  });

  test("tlsboot request web gets a certificate by a token, and renews it and its identity without one", async () => {
    const args = ["request", "web", "nas.home.lan", "--ip", "192.168.1.9"];
    assert.match((await succeed(...args)).stdout, /certificate of nas\.home\.lan issued/);
    const first = await readCertificate("nas.home.lan");
    assert.equal(first.subjectAltName, "DNS:nas.home.lan, IP Address:192.168.1.9");
    const facts = parseCertificate(new Uint8Array(first.raw));
    assert.deepEqual(facts.ok && listUsages(facts.value), ["digital signature", "server auth"]);
    assert.ok(first.checkIssued(new X509Certificate(await readFile(instance.folder.join("nas.home.lan", "ca.crt")))));
    assert.equal((await stat(instance.folder.join("nas.home.lan", "identity.kubeconfig"))).mode & 0o777, 0o600);
    assert.match((await succeed(...args)).stdout, /nothing to do/);

    await rename(instance.folder.join("data", "web.kubeconfig"), instance.folder.join("away"));
    const identity = await readFile(instance.folder.join("nas.home.lan", "identity.kubeconfig"), "utf8");
    // The certificate is valid for 30 days and the identity for a year; both are backdated by five minutes.
    await succeed(...args, "--renew-before", "719h58m");
    await succeed(...args, "--renew-before", "8759h58m");
    await rename(instance.folder.join("away"), instance.folder.join("data", "web.kubeconfig"));
    assert.notEqual((await readCertificate("nas.home.lan")).serialNumber, first.serialNumber);
    assert.notEqual(await readFile(instance.folder.join("nas.home.lan", "identity.kubeconfig"), "utf8"), identity);
  });

  test("a web server on another machine needs the address, a token and the hash of the CA", async () => {
    const kubeconfig = await readFile(instance.folder.join("data", "web.kubeconfig"), "utf8");
    const [token = ""] = /[a-z0-9]{6}\.[a-z0-9]{16}/.exec(kubeconfig) ?? [];
    const [hash = ""] = /sha256:[0-9a-f]{64}/.exec((await succeed("ca", "show")).stdout) ?? [];
    const server = ["--server", instance.url, "--data-dir", "nowhere"];
    const wrong = ["--token", token, "--ca-cert-hash", `sha256:${"0".repeat(64)}`];
    assert.match(
      (await tlsboot("request", "web", "far.home.lan", ...server, ...wrong)).stderr,
      /cannot trust cluster-info/,
    );
    await succeed("request", "web", "away.home.lan", ...server, "--token", token, "--ca-cert-hash", hash);
    // A machine's token does not work for a web server.
    const machine = /[a-z0-9]{6}\.[a-z0-9]{16}/.exec(
      await readFile(instance.folder.join("data", "bootstrap.kubeconfig"), "utf8"),
    );
    const other = ["--token", machine?.[0] ?? "", "--ca-cert-hash", hash];
    assert.equal((await requestInVain(["odd.home.lan", ...server, ...other])).code, 3);
  });

  test("an identity may request certificates for its names, and nothing else", async () => {
    await succeed("request", "web", "www.home.lan");
    const identity = ["--kubeconfig", "www.home.lan/identity.kubeconfig"];
    for (const args of [["get", "csr"], ["token", "list"], ["get", "certificates"], ["get", "revocations"]]) {
      assert.match((await tlsboot(...args, ...identity)).stderr, /forbidden/, args.join(" "));
    }
    const client = ["--signer", "kubernetes.io/kube-apiserver-client"];
    const masters = await askAs("www.home.lan", ...client, "--subject", "CN=x,O=system:masters", "--out", "m");
    assert.notEqual(masters.code, 0);
    for (
      const [out, ...args] of [
        ["o1", ...client, "--subject", "CN=tlsboot:web:other.home.lan,O=tlsboot:web", "--dns", "other.home.lan"],
        ["o2", ...client, "--subject", "CN=tlsboot:web:www.home.lan,O=tlsboot:web,O=admins", "--dns", "www.home.lan"],
        ["o3", "--signer", "tlsboot.local/web", "--subject", "CN=www.home.example", "--dns", "www.home.example"],
        ["o4", "--signer", "tlsboot.local/web", "--subject", "CN=*.home.lan", "--dns", "*.home.lan"],
        [
          "o5",
          "--signer",
          "kubernetes.io/kubelet-serving",
          "--subject",
          "CN=system:node:n1,O=system:nodes",
          "--dns",
          "n1",
        ],
      ]
    ) {
      await askAs("www.home.lan", ...args, "--out", out ?? "");
      const again = await askAs("www.home.lan", ...args, "--out", out ?? "");
      assert.match(again.stdout + again.stderr, /is pending|is denied|is not allowed|cannot request/, out);
    }
  });

  test("a name belongs to the machine that requested it first", async () => {
    await succeed("request", "web", "shop.home.lan", "--dns", "pay.home.lan");
    const late = await requestInVain(["shop.home.lan", "--out", "late"]);
    assert.equal(late.code, 3, late.stderr);
    assert.match(late.stderr, /another machine may hold the name/);
    // The first machine's other names are taken too, even for a machine with an identity.
    await succeed("request", "web", "blog.home.lan");
    const alias = await requestInVain(["blog.home.lan", "--dns", "pay.home.lan"]);
    assert.equal(alias.code, 3, alias.stderr);
    const [, pending = ""] = /request (\S+) made at tlsboot\.local\/web/.exec(alias.stderr) ?? [];
    assert.match(
      (await tlsboot("policy", "explain", pending)).stdout,
      /pay\.home\.lan belongs to another machine: tlsboot:web:shop\.home\.lan/,
    );

    // A person gives the name to a reinstalled machine.
    const [, held = ""] = /request (\S+) made at/.exec(late.stderr) ?? [];
    await succeed("approve", held, "--yes");
    await succeed("request", "web", "shop.home.lan", "--out", "late");
  });

  test("requests for another machine's name do not use up the limit of the machines that share the token", async () => {
    await succeed("request", "web", "taken.home.lan");
    const rogue = await buildCsr({
      signerName: "kubernetes.io/kube-apiserver-client",
      commonName: "tlsboot:web:taken.home.lan",
      organizations: ["tlsboot:web"],
      dnsNames: ["taken.home.lan"],
    });
    const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    await using shared = await connectWith(`${instance.data}/web.kubeconfig`);
    for (let index = 0; index < 120; index++) {
      const body = { ...rogue, metadata: { name: `rogue-${index}` } };
      await shared.api.requestJson({ method: "POST", path, body }, AbortSignal.timeout(60_000));
    }
    await succeed("request", "web", "honest.home.lan");
    const states = (await succeed("get", "csr", "-o", "jsonpath={.items[*].status.conditions[*].reason}")).stdout.split(
      " ",
    );
    assert.equal(states.filter((reason) => reason === "TooManyHeldRequests").length, 117);
    const { stdout } = await succeed("get", "csr", "--pending", "-o", "name");
    assert.equal(stdout.match(/rogue-/g)?.length, 3);
    const { stderr } = await requestInVain(["taken.home.lan", "--out", "fourth"]);
    assert.match(stderr, /3 requests for taken\.home\.lan from 127\.0\.0\.1 are already held for a person/);
  });

  test("a revoked identity is useless", async () => {
    await succeed("request", "web", "stolen.home.lan");
    await succeed("revoke", "user/tlsboot:web:stolen.home.lan", "--reason", "keyCompromise", "--yes");
    assert.match(
      await instance.refuse(1, "request", "web", "stolen.home.lan", "--force"),
      /was revoked, or belongs to another server/,
    );
  });

  test("of three machines that request the same name at once, one gets it", async () => {
    const first = Promise.withResolvers<void>();
    const end = first.promise.then(requestLater);
    const runs = await Promise.all(
      ["a", "b", "c"].map((out) => requestInVain(["race.home.lan", "--out", out], () => end).finally(first.resolve)),
    );
    assert.deepEqual(runs.map(({ code }) => code).toSorted(), [0, 3, 3]);
  });

  test("a name outside the domain is denied at once, with the reason", async () => {
    assert.match(
      await instance.refuse(3, "request", "web", "nas.home.example"),
      /DNS name "nas\.home\.example" is not allowed/,
    );
    const address = await tlsboot("request", "web", "far.home.lan", "--ip", "10.0.0.1");
    assert.match(address.stderr, /address 10\.0\.0\.1 is not allowed/);
    // The next run makes a new request.
    await succeed("request", "web", "far.home.lan", "--ip", "192.168.1.77");
  });

  test("the command of --exec runs again until it has succeeded", async () => {
    const args = ["request", "web", "hook.home.lan", "--exec", "test -e ready && echo ran >> runs"];
    assert.equal((await tlsboot(...args)).code, 1);
    await writeFile(instance.folder.join("ready"), "");
    await succeed(...args);
    await succeed(...args);
    assert.equal(await readFile(instance.folder.join("runs"), "utf8"), "ran\n");
  });

  test("--print-systemd-unit gets the certificate first, and the unit has no token", async () => {
    const unit = ["--exec", "systemctl --version", "--print-systemd-unit"];
    const { stdout } = await succeed("request", "web", "unit.home.lan", ...unit);
    assert.match(
      stdout,
      /^ExecStart=\/usr\/\S*bin\/tlsboot request web unit\.home\.lan --exec "systemctl --version" --out \S+ --rotate-certificates$/m,
    );
    assert.doesNotMatch(stdout, /token/);
    await readCertificate("unit.home.lan");
  });

  test("--print-systemd-unit prints no unit while the request is pending", async () => {
    const { code, stdout, stderr } = await tlsboot(
      // Another machine has this name.
      ...["request", "web", "later.home.lan", "--out", "pending", "--timeout", "0", "--print-systemd-unit"],
    );
    assert.deepEqual([code, stdout], [3, ""]);
    assert.match(stderr, /^request \S+ is pending$/m);
  });

  test("a missing --join file is reported with a hint to web.kubeconfig", async () => {
    assert.match(
      await instance.refuse(1, "request", "web", "none.home.lan", "--join", "none"),
      /hint: copy web\.kubeconfig to this machine: tlsboot up --web-domain writes it/,
    );
  });

  test("--rotate-certificates keeps running, and reports a new certificate", async () => {
    const args = ["request", "web", "keep.home.lan", "--data-dir", "data", "--rotate-certificates"];
    await using keeping = startTlsboot(args, { cwd: instance.folder.path });
    await keeping.waitFor(/certificate of keep\.home\.lan issued/);
  });

  /**
   * Keeps a certificate fresh for two rounds, skipping the pauses; returns the pauses and the number of certificates.
   */
  async function keepForTwoRounds(name: string, args: readonly string[], random = createSystemRandom()) {
    const clock = createSystemClock();
    const stop = new AbortController();
    const pauses: number[] = [];
    const seen = new Set<string>();
    let passedMs = 0;
    const { stderr } = await runCaptured(["request", "web", name, "--rotate-certificates", ...args], {
      cwd: instance.folder.path,
      random,
      env: { TLSBOOT_DATA_DIR: "data" },
      clock: {
        ...clock,
        now: () => new Date(clock.now().getTime() + passedMs),
        async sleep(ms, signal) {
          if (ms < 5_000 || ms === REQUEST_TIMEOUT_MS) return await clock.sleep(ms, signal);
          pauses.push(ms);
          passedMs += ms;
          seen.add((await readCertificate(name)).serialNumber);
          if (pauses.length === 2) stop.abort();
          signal.throwIfAborted();
        },
      },
    }, stop.signal);
    return { pauses, count: seen.size, stderr };
  }

  test("--rotate-certificates ignores a --renew-before that would replace each new certificate", async () => {
    const kept = await keepForTwoRounds("long.home.lan", ["--renew-before", "1000d"]);
    assert.deepEqual([kept.pauses, kept.count], [[3_600_000, 3_600_000], 1]);
    assert.match(kept.stderr, /--renew-before 1000d has no effect, because the certificate lives for 30d: it will be/);
    assert.equal(kept.stderr.match(/has no effect/g)?.length, 1, "reported once");
    const { stdout, stderr } = await succeed("request", "web", "long.home.lan", "--renew-before", "1000d");
    assert.match(stdout, /^nothing to do/);
    assert.match(stderr, /--renew-before 1000d has no effect/, "a run from cron reports it each time");
  });

  test("--rotate-certificates reports a bug, and tries again", async () => {
    await succeed("request", "web", "bug.home.lan");
    await writeFile(instance.folder.join("password"), "secret\n", { mode: 0o600 });
    const random = createSystemRandom();
    const pkcs12 = ["--pkcs12", "bug.p12", "--pkcs12-password-file", "password"];
    const { pauses, stderr } = await keepForTwoRounds("bug.home.lan", pkcs12, {
      ...random,
      bytes: () => {
        throw new TypeError("a bug");
      },
    });
    assert.deepEqual(pauses, [10_000, 20_000]);
    assert.equal(stderr.match(/error: a bug/g)?.length, 2);
  });

  test("--rotate-certificates never renews twice within a minute", async () => {
    const { pauses, count } = await keepForTwoRounds("short.home.lan", ["--duration", "10m", "--renew-before", "599s"]);
    assert.equal(count, 2, "the lifetime allows the second renewal");
    assert.ok(pauses.every((pause) => pause >= 60_000), pauses.join());
  });

  test("a web server gets a new CA, and renews its identity and its certificate early", async () => {
    await succeed("request", "web", "new.home.lan");
    const before = await readCertificate("new.home.lan");
    await succeed("ca", "rotate", "begin");
    await succeed("request", "web", "new.home.lan");
    await succeed("ca", "rotate", "switch", "--over", "1s");
    const { stderr } = await succeed("request", "web", "new.home.lan");
    assert.match(stderr, /its CA is being replaced/);
    const bundle = await readFile(instance.folder.join("new.home.lan", "ca.crt"), "utf8");
    assert.equal(bundle.match(/BEGIN/g)?.length, 2);
    assert.notEqual((await readCertificate("new.home.lan")).issuer, before.issuer);
  });

  for (
    const [line, want] of [
      ["web *.home.lan", /wildcards are not supported/],
      ["web 192.168.1.2", /want a DNS name/],
      ["web x.home.lan --subject CN=x", /unknown flag "--subject" for "tlsboot request web"/],
      [
        "web x.home.lan --join f --token abcdef.0123456789abcdef",
        /--join and --token exclude each other/,
      ],
      ["web x.home.lan --pkcs12-password-file f", /needs --pkcs12/],
      ["web x.home.lan --rotate-certificates --force", /--rotate-certificates and --force exclude each other/],
      ["web x.home.lan --key-algorithm ml-dsa-65", /--key-algorithm: "ml-dsa-65" found, want one of ecdsa-p256/],
      ["web x.home.lan --duration 10d --renew-before 1000d", /--renew-before must be shorter than --duration/],
      ["web x.home.lan --renew-before 1d --force", /--renew-before and --force exclude each other/],
      ["web", /"tlsboot request web" needs NAME/],
      ["x.home.lan", /"tlsboot request" takes no arguments but its commands web/],
      ["--rotate-certificates --signer a.b/c --subject CN=x --out x", /unknown flag "--rotate-certificates"/],
      ["--subject CN=x", /--signer is required/],
    ] as const
  ) {
    test(`tlsboot request ${line} is wrong usage`, async () => {
      assert.match(await instance.refuse(2, "request", ...line.split(" ")), want);
    });
  }

  for (
    const [line, want] of [
      ["--web-network 192.168.1.0/24", /--web-network needs --web-domain/],
      ["--web-domain *.home.lan", /without a star/],
      ["--web-domain home.lan --web-network 127.0.0.0/8", /same on every machine/],
    ] as const
  ) {
    test(`tlsboot up ${line} is wrong usage`, async () => {
      assert.match(await instance.refuse(2, "up", "--data-dir", "never", ...line.split(" ")), want);
    });
  }
});
