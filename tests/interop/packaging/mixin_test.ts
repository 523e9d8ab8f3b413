/**
 * The mixin of packaging/mixin: Jsonnet renders it, promtool tests its alerts, and Grafana's schema checks its
 * dashboard.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { parse } from "yaml";
import { ROOT, runProgram, succeedProgram } from "../../support/child.ts";
import { assertGolden } from "../../support/golden.ts";
import { ensureDebianProgram } from "../../support/peers/debian.ts";
import { peerPath } from "../../support/peers/go.ts";
import { createTempFolder } from "../../support/temp.ts";

const FOLDER = "packaging/mixin";
const RULES = `${FOLDER}/tlsboot.rules.yaml`;
const DASHBOARD = `${FOLDER}/tlsboot.dashboard.json`;

interface Rule {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string };
}

let promtool: string;

async function runToEnd(program: string, args: readonly string[], stdin?: string): Promise<string> {
  return (await succeedProgram(program, args, stdin === undefined ? {} : { stdin })).stdout;
}

/** A case in which an alert fires, with one value per minute in Prometheus' notation. */
interface Case {
  readonly series: Readonly<Record<string, string>>;
  /** Minutes until the condition has held for long enough. */
  readonly after?: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
}

const ONE = 'job="tlsboot",instance="boot"';
const NODE = 'job="node",instance="n1"';
const INSTANCE = { instance: "boot" };
const BOTH = { job: "tlsboot", instance: "boot" };
const DAY = 86_400;

const CASES: Readonly<Record<string, Case>> = {
  TlsbootDown: {
    series: { [`up{${ONE}}`]: "0x9" },
    after: 3,
    labels: BOTH,
    description: "boot does not answer to Prometheus.",
  },
  TlsbootRequestsNotApproved: {
    series: { [`tlsboot_waiting_requests{${ONE},waits_for="approval",at_least="1h"}`]: "2x9" },
    after: 6,
    labels: { ...BOTH, waits_for: "approval", at_least: "1h" },
    description: "2 requests have been waiting for an approval for more than an hour.",
  },
  TlsbootRequestsNotSigned: {
    series: { [`tlsboot_waiting_requests{${ONE},waits_for="signature",at_least="5m"}`]: "3x9" },
    after: 6,
    labels: { ...BOTH, waits_for: "signature", at_least: "5m" },
    description: "3 approved requests have had no certificate for more than five minutes.",
  },
  TlsbootNameClaimed: {
    series: { [`tlsboot_held_requests_total{${ONE},reason="NameClaimed"}`]: "0 0 1" },
    after: 2,
    labels: { ...BOTH, reason: "NameClaimed" },
    description: "A machine asks boot for the name of a node that has a valid certificate.",
  },
  TlsbootRevokedCredentialUsed: {
    series: { [`tlsboot_revoked_credentials_refused_total{${ONE},kind="serial"}`]: "0 0 1" },
    after: 2,
    labels: { ...BOTH, kind: "serial" },
    description: "boot refused a credential whose serial is revoked.",
  },
  TlsbootProofRefused: {
    series: { [`tlsboot_node_attestations_total{${ONE},kind="tpm",result="inventory"}`]: "0 0 1" },
    after: 2,
    labels: { ...BOTH, kind: "tpm", result: "inventory" },
    description: "boot refused a proof by tpm, with the reason inventory.",
  },
  TlsbootAuthenticationFailures: {
    series: { [`authentication_attempts{${ONE},result="error"}`]: "0+120x20" },
    after: 16,
    labels: { ...BOTH, result: "error" },
    description: "boot gets invalid credentials 2 times a second.",
  },
  TlsbootServerErrors: {
    series: {
      [`apiserver_request_total{${ONE},code="200"}`]: "0+90x20",
      [`apiserver_request_total{${ONE},code="500"}`]: "0+10x20",
    },
    after: 16,
    labels: INSTANCE,
    description: "10% of the requests to boot end with a server error.",
  },
  TlsbootOwnCertificateEndsSoon: {
    series: { [`tlsboot_own_certificate_expiry_timestamp_seconds{${ONE},certificate="ca.crt"}`]: `${80 * DAY}x9` },
    labels: { ...BOTH, certificate: "ca.crt" },
    description: "The certificate ca.crt of boot ends 79d 23h 59m 0s from now.",
  },
  TlsbootCertificatesNotRenewed: {
    series: {
      [`tlsboot_issued_certificates_overdue{${ONE},signer="kubernetes.io/kubelet-serving"}`]: "4x99",
    },
    after: 61,
    labels: { ...BOTH, signer: "kubernetes.io/kubelet-serving" },
    description:
      "4 certificates of kubernetes.io/kubelet-serving end soon and are not renewed; the log of boot names them.",
  },
  TlsbootCertificateEndsSoon: {
    series: {
      [`tlsboot_issued_certificate_expiry_timestamp_seconds{${ONE},signer="example.com/web"}`]: `${10 * DAY}x99`,
      [`tlsboot_issued_certificates_overdue{${ONE},signer="example.com/web"}`]: "1x99",
    },
    after: 61,
    labels: { ...BOTH, signer: "example.com/web" },
    description:
      "A certificate of example.com/web is not renewed and ends 9d 22h 59m 0s from now; the log of boot names it.",
  },
  TlsbootNoLeader: {
    series: {
      'leader_election_master_status{job="tlsboot",instance="a",name="tlsboot-signer"}': "1 0x9",
      'leader_election_master_status{job="tlsboot",instance="b",name="tlsboot-signer"}': "0x9",
    },
    after: 7,
    labels: { name: "tlsboot-signer" },
    description: "None of the replicas leads by the Lease tlsboot-signer.",
  },
  TlsbootControllerStuck: {
    series: { [`workqueue_longest_running_processor_seconds{${ONE},name="signer"}`]: "360x9" },
    labels: { ...BOTH, name: "signer" },
    description: "signer of boot has worked on one object for 6m 0s.",
  },
  TlsbootApiRequestsFail: {
    series: {
      [`rest_client_requests_total{${ONE},code="200",host="api",method="GET"}`]: "0+60x20",
      [`rest_client_requests_total{${ONE},code="<error>",host="api",method="GET"}`]: "0+60x20",
    },
    after: 16,
    labels: INSTANCE,
    description: "50% of the requests of boot to the API fail.",
  },
  TlsbootDiskAlmostFull: {
    series: { [`tlsboot_storage_disk_free_bytes{${ONE}}`]: "104857600x9" },
    after: 6,
    labels: BOTH,
    description: "100MiB are left for the database of boot.",
  },
  TlsbootWritesFail: {
    series: { [`tlsboot_storage_commit_failures_total{${ONE}}`]: "0 0 1" },
    after: 2,
    labels: BOTH,
    description: "boot could not write to its database.",
  },
  TlsbootWritesAreSlow: {
    series: {
      [`tlsboot_storage_commit_duration_seconds_bucket{${ONE},le="0.5"}`]: "0+50x20",
      [`tlsboot_storage_commit_duration_seconds_bucket{${ONE},le="1"}`]: "0+60x20",
      [`tlsboot_storage_commit_duration_seconds_bucket{${ONE},le="+Inf"}`]: "0+60x20",
    },
    after: 16,
    labels: INSTANCE,
    description: "One commit in a hundred takes more than half a second on boot.",
  },
  TlsbootAuditLost: {
    series: { [`apiserver_audit_error_total{${ONE},plugin="log"}`]: "0 0 0 0 0 5" },
    after: 5,
    labels: { ...BOTH, plugin: "log" },
    description: "boot could not write 5 audit events.",
  },
  TlsbootAuditDiskAlmostFull: {
    series: { [`tlsboot_audit_disk_free_bytes{${ONE}}`]: "104857600x9" },
    after: 6,
    labels: BOTH,
    description: "100MiB are left for the audit log of boot.",
  },
  TlsbootMachineCertificateNotRenewed: {
    series: {
      [`x509_cert_not_before{${NODE},filepath="/pki/web.crt"}`]: `${-95 * DAY}x99`,
      [`x509_cert_not_after{${NODE},filepath="/pki/web.crt"}`]: `${5 * DAY + 3600}x99`,
    },
    after: 61,
    labels: { job: "node", instance: "n1", filepath: "/pki/web.crt" },
    description: "/pki/web.crt on n1 has 4.997% of its life left.",
  },
  TlsbootMachineFindings: {
    series: { [`tlsboot_doctor_findings{${NODE},severity="error"}`]: "2x99" },
    after: 61,
    labels: { job: "node", instance: "n1", severity: "error" },
    description: "tlsboot doctor reports 2 errors on n1.",
  },
  TlsbootMachineNotChecked: {
    series: { [`tlsboot_doctor_last_run_timestamp_seconds{${NODE}}`]: `${-7 * 3600}x9` },
    labels: { job: "node", instance: "n1" },
    description: "tlsboot doctor last ran 7h 1m 0s ago on n1.",
  },
};

/** The series of a healthy instance, and alarming ones of a kube-apiserver that the same Prometheus scrapes. */
const QUIET: Readonly<Record<string, string>> = {
  [`up{${ONE}}`]: "1x99",
  [`apiserver_request_total{${ONE},code="200"}`]: "0+90x99",
  [`apiserver_request_total{${ONE},code="500"}`]: "0+1x99",
  [`tlsboot_waiting_requests{${ONE},waits_for="approval",at_least="0s"}`]: "5x99",
  [`tlsboot_waiting_requests{${ONE},waits_for="approval",at_least="1h"}`]: "0x99",
  [`tlsboot_own_certificate_expiry_timestamp_seconds{${ONE},certificate="ca.crt"}`]: `${3650 * DAY}x99`,
  [`tlsboot_own_certificate_expiry_timestamp_seconds{${ONE},certificate="serving"}`]: `${80 * DAY}x99`,
  [`tlsboot_node_attestations_total{${ONE},kind="tpm",result="accepted"}`]: "0+1x99",
  [`tlsboot_node_attestations_total{${ONE},kind="",result="limited"}`]: "0+1x99",
  // A pod's certificate for a day never counts, because it is renewed in time.
  [`tlsboot_issued_certificate_expiry_timestamp_seconds{${ONE},signer="example.com/pods"}`]: `${DAY}x99`,
  [`tlsboot_issued_certificates_overdue{${ONE},signer="example.com/pods"}`]: "0x99",
  'leader_election_master_status{job="tlsboot",instance="a",name="tlsboot-signer"}': "1x99",
  'leader_election_master_status{job="tlsboot",instance="b",name="tlsboot-signer"}': "0x99",
  'up{job="apiserver",instance="api"}': "0x99",
  'apiserver_request_total{job="apiserver",instance="api",code="500"}': "0+90x99",
  'authentication_attempts{job="apiserver",instance="api",result="error"}': "0+600x99",
  'apiserver_audit_error_total{job="apiserver",instance="api",plugin="log"}': "0+9x99",
  'leader_election_master_status{job="kube-controller-manager",instance="a",name="kube-controller-manager"}': "0x99",
};

describe("the mixin", () => {
  before(async () => {
    promtool = join(await ensureDebianProgram("prometheus"), "usr", "bin", "promtool");
  });

  test("rules and dashboard match their sources, which are formatted with jsonnetfmt", async () => {
    for (const name of ["alerts", "config", "dashboard", "mixin"]) {
      await runToEnd(peerPath("jsonnetfmt"), ["--test", `${FOLDER}/${name}.libsonnet`]);
    }
    const render = (expression: string) =>
      runToEnd(peerPath("jsonnet"), [
        "--string",
        "--exec",
        `local mixin = import '${FOLDER}/mixin.libsonnet'; ${expression}`,
      ]);
    const rules = await render(
      "std.manifestYamlDoc(mixin.prometheusAlerts, indent_array_in_object=true, quote_keys=false)",
    );
    await assertGolden(
      RULES,
      `# Rendered from ${FOLDER}; do not edit. \`tlsboot guide monitoring\` explains each alert.\n${rules}`,
    );
    await assertGolden(
      DASHBOARD,
      await render("std.manifestJsonMinified(mixin.grafanaDashboards['tlsboot.dashboard.json']) + '\\n'"),
    );
  });

  test("Grafana's schema accepts the dashboard, and refuses an unknown field", async () => {
    const text = await readFile(DASHBOARD, "utf8");
    await runToEnd(peerPath("dashboard"), [], text);
    const refused = await runProgram(peerPath("dashboard"), [], { stdin: text.replace('"legendFormat"', '"legend"') });
    assert.match(refused.stderr, /unexpected field 'legend'/);
  });

  test("promtool accepts the rules, and each alert fires in its case with its text, but not for a healthy instance", async () => {
    await runToEnd(promtool, ["check", "rules", RULES]);
    const { groups } = parse(await readFile(RULES, "utf8")) as { groups: readonly { rules: readonly Rule[] }[] };
    const rules = groups.flatMap(({ rules }) => rules);
    assert.deepEqual(Object.keys(CASES).sort(), rules.map(({ alert }) => alert).sort());
    const toSeries = (all: Readonly<Record<string, string>>) =>
      Object.entries(all).map(([series, values]) => ({ series, values }));
    const fires = rules.map(({ alert, labels, annotations: { summary, runbook } }) => {
      const { series, after = 1, labels: own, description } = CASES[alert]!;
      return {
        interval: "1m",
        input_series: toSeries(series),
        alert_rule_test: [{
          eval_time: `${after}m`,
          alertname: alert,
          // The labels of the alert override those of the series.
          exp_alerts: [{ exp_labels: { ...own, ...labels }, exp_annotations: { summary, description, runbook } }],
        }],
      };
    });
    const quiet = {
      interval: "1m",
      input_series: toSeries(QUIET),
      alert_rule_test: rules.map(({ alert }) => ({ eval_time: "90m", alertname: alert, exp_alerts: [] })),
    };
    await using folder = await createTempFolder();
    const file = folder.join("alerts.json");
    await writeFile(file, JSON.stringify({ rule_files: [join(ROOT, RULES)], tests: [...fires, quiet] }));
    await runToEnd(promtool, ["test", "rules", file]);
  });
});
