/** Follows a host's addresses, so that its serving certificate follows too (`kubelet-bootstrap.md` §7.7, §9). */
import type { ServingNames } from "../core/bootstrap/node_addresses.ts";
import type { NodeName } from "../core/bootstrap/node_name.ts";
import { servingTemplate } from "../core/bootstrap/serving.ts";
import { observe, type Settling } from "../core/bootstrap/settling.ts";
import type { Clock, Logger } from "../core/ports.ts";
import type { TemplateHolder } from "./template_source.ts";

/** What following needs. */
export interface ServingAddressesOptions {
  readonly nodeName: NodeName;
  /** The names as they are now. */
  readonly readNames: () => Promise<ServingNames>;
  /** Set whenever the names have changed for good. */
  readonly template: TemplateHolder;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** kubelet's `nodeStatusUpdateFrequency`: how often a node's addresses are looked at. */
const PAUSE_MS = 10_000;
/** Three looks: what comes back within is a cable, a DHCP lease or a container network, not a new address. */
const QUIET_MS = 30_000;

/** Looks until the signal fires, rejecting with its reason. A host without any address keeps what it had. */
export async function followServingAddresses(options: ServingAddressesOptions, signal: AbortSignal): Promise<never> {
  const { nodeName, readNames, template, clock, logger } = options;
  let state: Settling<ServingNames> = { settled: toServingNames(template) };
  while (true) {
    const names = await readNames();
    if (servingTemplate(nodeName, names) !== undefined) {
      // There is nothing to lose by the first address.
      const quietMs = template.current() === undefined ? 0 : QUIET_MS;
      const next = observe(state, names, clock.elapsedMs(), { quietMs, isEqual });
      if (!isEqual(next.settled, state.settled)) {
        logger.warn("addresses have changed", { ...names });
        template.set(servingTemplate(nodeName, names));
      }
      state = next;
    }
    await clock.sleep(PAUSE_MS, signal);
  }
}

function toServingNames(template: TemplateHolder): ServingNames {
  const { dnsNames = [], ipAddresses = [] } = template.current() ?? {};
  return { dnsNames, ipAddresses };
}

function isEqual(a: ServingNames, b: ServingNames): boolean {
  return a.dnsNames.join() === b.dnsNames.join() && a.ipAddresses.join() === b.ipAddresses.join();
}
