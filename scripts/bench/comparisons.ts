/** What is measured. `docs/bench.md` says what each line means. */
import { existsSync } from "node:fs";
import { peerPath } from "../peers.ts";
import { type Comparison, secondsOf } from "./measure.ts";
import { type Site, startOurSite } from "./our_site.ts";
import { LIFTED, startPeerSite } from "./peer_site.ts";
import { mustEnd, type Program } from "./program.ts";

/** What the comparisons run. */
export interface Subjects {
  readonly node: string;
  readonly sources: Program;
  readonly file: Program;
  /** Runs of the lines that start servers. */
  readonly runs: number;
}

/** A start takes a tenth of a second, so more of them fit. */
const START_RUNS_PER_RUN = 5;

/** All lines, in the order of the table. */
export function comparisonsOf(subjects: Subjects): readonly Comparison[] {
  const { sources, file } = subjects;
  return [
    startOf(subjects, sources, "none of its own"),
    startOf(subjects, file, "under 1.5 ×"),
    listingOf(subjects, file, "under 2 ×"),
    firstCertificate(subjects, sources, "1.2 s, a fifth"),
    firstCertificate(subjects, file, "0.7 s, a fifth"),
    storm(subjects, 200, "as it ships", [], "under 1.5 s"),
    storm(subjects, 200, "limits lifted", LIFTED, "under 1.5 s"),
    storm(subjects, 1000, "limits lifted", LIFTED, "2.8 s, 0.56 ×"),
  ];
}

function startOf({ node, runs }: Subjects, program: Program, aim: string): Comparison {
  return {
    what: `version, ${program.form}`,
    peer: "node -e 0",
    aim,
    runs: runs * START_RUNS_PER_RUN,
    ours: () => secondsOf(() => program.run(["version"])),
    theirs: () => secondsOf(() => mustEnd(node, ["-e", "0"])),
  };
}

function listingOf({ node, runs }: Subjects, program: Program, aim: string): Comparison {
  return {
    what: `get csr, ${program.form}`,
    peer: "node -e 0",
    aim,
    runs: runs * START_RUNS_PER_RUN,
    async ours() {
      await using site = await startOurSite(program);
      const list = () => program.run(["get", "csr", "--data-dir", site.data]);
      // The server's first answer meets cold code, and is not what is measured.
      await list();
      return await secondsOf(list);
    },
    theirs: () => secondsOf(() => mustEnd(node, ["-e", "0"])),
  };
}

function firstCertificate({ file, runs }: Subjects, program: Program, aim: string): Comparison {
  return {
    what: `empty folder to first certificate, ${program.form}`,
    peer: "control plane",
    aim,
    runs,
    ours: () => secondsToCertificate(() => startOurSite(program), program),
    // The faster form of the same bootstrap client, so that the peer never waits for our sources to load.
    theirs: () => secondsToCertificate(() => startPeerSite([]), file),
  };
}

async function secondsToCertificate(startSite: () => Promise<Site>, client: Program): Promise<number> {
  let site: Site | undefined;
  try {
    return await secondsOf(async () => {
      site = await startSite();
      const { folder, bootstrapKubeconfig } = site;
      await client.run([
        ...["bootstrap", "--bootstrap-kubeconfig", bootstrapKubeconfig, "--hostname-override", "n1"],
        ...["--kubeconfig", folder.join("n1", "kubeconfig"), "--cert-dir", folder.join("n1", "pki")],
      ]);
      const certificate = folder.join("n1", "pki", "kubelet-client-current.pem");
      if (!existsSync(certificate)) throw new Error(`bootstrap ended well but left no ${certificate}`);
    });
  } finally {
    await site?.[Symbol.asyncDispose]();
  }
}

function storm(
  { file, runs }: Subjects,
  nodes: number,
  limits: string,
  controllerFlags: readonly string[],
  aim: string,
): Comparison {
  return {
    what: `${nodes} nodes at once`,
    peer: `control plane, ${limits}`,
    aim,
    runs,
    ours: () => secondsOfStorm(() => startOurSite(file), nodes),
    theirs: () => secondsOfStorm(() => startPeerSite(controllerFlags), nodes),
  };
}

/** The storm program takes its own time, from the instant that lets all nodes go to the last certificate. */
async function secondsOfStorm(startSite: () => Promise<Site>, nodes: number): Promise<number> {
  await using site = await startSite();
  const { stdout } = await mustEnd(peerPath("load"), [
    ...["storm", `-kubeconfig=${site.bootstrapKubeconfig}`, `-nodes=${nodes}`, "-timeout=5m"],
  ]);
  const report = JSON.parse(stdout) as { readonly nodes: number; readonly seconds: number };
  if (report.nodes !== nodes) throw new Error(`the storm was of ${report.nodes} nodes, not ${nodes}`);
  return report.seconds;
}
