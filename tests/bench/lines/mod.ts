/** All scenarios of the table, in order. `docs/engineering/measurements.md` explains each line. */
import { AIMS } from "../aims.ts";
import { ON_SQLITE, onEtcd } from "../setup.ts";
import type { Scenario } from "../scenario.ts";
import { firstCertificateScenario } from "./first_certificate.ts";
import { httpSigningScenario } from "./http_signing.ts";
import { idleScenario } from "./idle.ts";
import { recordsScenario } from "./records.ts";
import { getScenario, versionScenario } from "./starts.ts";
import { storedScenario } from "./stored.ts";
import { stormScenario } from "./storm.ts";
import { uiPageScenario } from "./ui_page.ts";

/** Creates the scenarios; a scale below 1 is for a quick trial. */
export function createScenarios(node: string, scale: number): readonly Scenario[] {
  const scaled = (count: number): number => Math.max(1, Math.round(count * scale));
  return [
    versionScenario(node),
    getScenario(node),
    firstCertificateScenario(ON_SQLITE),
    idleScenario(ON_SQLITE, scaled(30)),
    stormScenario(ON_SQLITE, scaled(200), AIMS.fewNodes),
    ...[ON_SQLITE, onEtcd(1), onEtcd(3)].flatMap((setup) => [
      stormScenario(setup, scaled(1000), setup.aims.storm),
      storedScenario(setup, scaled(10_000), scaled(1000)),
    ]),
    recordsScenario(scaled(100_000)),
    uiPageScenario(scaled(10_000)),
    httpSigningScenario(scaled(2000)),
  ];
}

/** Reports whether a line of a scenario contains all of the words as whole words. */
export function isWanted(scenario: Scenario, words: readonly string[]): boolean {
  return Object.values(scenario.lines).some(({ what, peer }) => {
    const found = `${what} ${peer}`.split(/[\s,]+/);
    return words.every((word) => found.includes(word));
  });
}
