/** All scenarios of the table, in its order. `docs/bench.md` says what each line means. */
import { LIFTED } from "../peer_site.ts";
import type { Program } from "../program.ts";
import { type Aim, atMost, atMostTimes, type Scenario } from "../scenario.ts";
import { firstCertificateScenario } from "./first_certificate.ts";
import { httpSigningScenario } from "./http_signing.ts";
import { oneThreadScenario } from "./one_thread.ts";
import { getScenario, versionScenario } from "./starts.ts";
import { storedScenario } from "./stored.ts";
import { stormScenario } from "./storm.ts";

/** What the scenarios run. */
export interface Subjects {
  readonly node: string;
  /** The form that bootstraps the peer's nodes. */
  readonly client: () => Promise<Program>;
  /** 1 is the table; less is for trying whether everything works. */
  readonly scale: number;
}

/** Makes them. */
export function scenariosOf({ node, client, scale }: Subjects): readonly Scenario[] {
  const scaled = (count: number): number => Math.max(1, Math.round(count * scale));
  const stormOf = (nodes: number, isLifted: boolean, aim: Aim): Scenario =>
    stormScenario({
      nodes: scaled(nodes),
      peer: isLifted ? "control plane, limits lifted" : "control plane, as it ships",
      controllerFlags: isLifted ? LIFTED : [],
      aim,
    });
  return [
    versionScenario(node),
    getScenario(node),
    firstCertificateScenario(client),
    stormOf(200, false, atMost(1.5, "under 1.5 s")),
    stormOf(200, true, atMost(1.5, "under 1.5 s")),
    // 1.8 times the peer's rate.
    stormOf(1000, true, atMostTimes(1 / 1.8, "1.8 × its rate")),
    storedScenario({ requests: scaled(10_000), connections: scaled(1000) }),
    oneThreadScenario(node, scaled(5000)),
    httpSigningScenario(scaled(2000)),
  ];
}

/** Whether one of its lines has all of these words, each as a whole. */
export function isWanted(scenario: Scenario, words: readonly string[]): boolean {
  return Object.values(scenario.lines).some(({ what, peer }) => {
    const had = `${what} ${peer}`.split(/[\s,]+/);
    return words.every((word) => had.includes(word));
  });
}
