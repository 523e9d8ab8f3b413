/** One request as the page shows it: the view that `describe csr` and `review` show too. */
import type { RequestView, RuleView } from "../../../core/review/request_view.ts";
import { DataTable, Facts, Moment } from "../layout.tsx";
import type { UiElement } from "../page.ts";

/** The properties of the parts of a request's page. */
export interface RequestPartProps {
  readonly view: RequestView;
  readonly now: Date;
}

/** What an approver reads first: the request in a sentence, its state, and what to notice. */
export function RequestHead({ view, now }: RequestPartProps): UiElement {
  return (
    <>
      <p class="lead">{`${view.sentence}.`}</p>
      <p>
        <span class={`state ${view.state}`}>{view.stateText}</span>
        {" asked "}
        <Moment at={view.createdAt} now={now} />
      </p>
      {view.unsigned === undefined ? "" : <p class="notice wait">{view.unsigned}</p>}
      {view.warnings.length === 0 ? "" : (
        <div class="notice warning">
          <h2>Notice first</h2>
          <ul>{view.warnings.map((warning) => <li>{warning}</li>)}</ul>
        </div>
      )}
    </>
  );
}

/** Everything else that is known about a request. */
export function RequestDetails({ view, now }: RequestPartProps): UiElement {
  const { requested, verdict, rules, changes } = view;
  return (
    <>
      {view.allows.length === 0 ? "" : (
        <Part title="What the certificate would allow">
          <ul>{view.allows.map((text) => <li>{text}</li>)}</ul>
        </Part>
      )}
      {verdict === undefined && rules.length === 0 ? "" : (
        <Part title="What the rules say">
          {verdict === undefined ? "" : <p>{verdict.text}</p>}
          {view.origin === undefined ? "" : <p class="faint">{`Rules: ${view.origin}`}</p>}
          {changes.length === 0 ? "" : (
            <>
              <h3>What would change it</h3>
              <ul>{changes.map((text) => <li>{text}</li>)}</ul>
            </>
          )}
          {rules.map((rule, index) => <RuleDetails rule={rule} id={`rule-${index}`} />)}
        </Part>
      )}
      <Part title="Who asks">
        <Facts facts={listRequesterFacts(view, now)} />
      </Part>
      <Part title="What is asked for">
        <Facts
          facts={[
            ["Signer", requested.signerName],
            ["Cannot be read", requested.unreadable],
            ["Subject", requested.subject],
            ["Other attributes", requested.otherAttributes.join(", ")],
            ["DNS names", requested.dnsNames.join(", ")],
            ["IP addresses", requested.ipAddresses.join(", ")],
            ["URIs", requested.uris.join(", ")],
            ["Email addresses", requested.emails.join(", ")],
            ["Usages", requested.usages.join(", ")],
            ["Lifetime", requested.lifetime ?? "as the signer decides"],
            ["Key", requested.key],
            ["SHA-256 of the key", requested.keyFingerprint],
            ["Signature", requested.signatureFault ?? requested.signatureAlgorithm],
            ["Extensions", requested.extensions.join(", ")],
          ]}
        />
        {view.signerRules.length === 0 ? "" : (
          <>
            <h3>What the signer demands</h3>
            <ul>
              {view.signerRules.map(({ outcome, sentence, fault }) => (
                <li class={outcome === "refused" ? "bad" : undefined}>
                  {fault === undefined ? sentence : `${sentence}: ${fault}`}
                </li>
              ))}
            </ul>
          </>
        )}
      </Part>
      <EarlierCertificate view={view} now={now} />
      <OtherRequests view={view} now={now} />
      <Outcome view={view} now={now} />
    </>
  );
}

function Part({ title, children }: { readonly title: string; readonly children?: unknown }): UiElement {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function listRequesterFacts(
  { requester: { text, user, groups, token, address, userAgent } }: RequestView,
  now: Date,
): readonly (readonly [string, UiElement | string | undefined])[] {
  return [
    ["Requester", text],
    ["User", user],
    ["Groups", groups.join(", ")],
    ["Address", address],
    ["Program", userAgent],
    ["Token", token === undefined ? undefined : `${token.id}${token.isGone === true ? ", which is gone" : ""}`],
    ["Token made", token?.createdAt === undefined ? undefined : <Moment at={token.createdAt} now={now} />],
    ["Token made by", token?.createdBy],
    ["Token expires", token?.expiresAt === undefined ? undefined : <Moment at={token.expiresAt} now={now} />],
    ["Token's description", token?.description],
    ["Token is for node", token?.node],
    ["Token's uses left", token?.usesLeft === undefined ? undefined : String(token.usesLeft)],
  ];
}

function RuleDetails({ rule, id }: { readonly rule: RuleView; readonly id: string }): UiElement {
  return (
    <details id={id}>
      <summary>{`${rule.policy}, ${rule.rule}: ${rule.text}`}</summary>
      {rule.checks.length === 0 ? "" : (
        <ul>
          {rule.checks.map(({ what, saw, outcome, fault, fix }) => (
            <li>
              <span class={`check ${outcome}`}>{outcome}</span> {what}
              {saw === "" ? "" : `: ${saw}`}
              {fault === undefined ? "" : <p>{fault}</p>}
              {fix === undefined ? "" : <p>{`To change it: ${fix}`}</p>}
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}

function EarlierCertificate({ view: { lastCertificate, difference }, now }: RequestPartProps): UiElement | string {
  if (lastCertificate === undefined) return "";
  const { serialNumber, notAfter, state, isSameKey, requestedBy, address } = lastCertificate;
  return (
    <Part title="The certificate before">
      <Facts
        facts={[
          ["Serial number", serialNumber],
          ["State", state],
          ["Ends", <Moment at={notAfter} now={now} />],
          ["Key", isSameKey === undefined ? undefined : isSameKey ? "the same" : "another one"],
          ["Requested by", requestedBy],
          ["Address", address],
        ]}
      />
      {difference === undefined ? "" : (
        <DataTable
          caption="Differences from it"
          rows={difference}
          empty="The request asks for the same again."
          columns={[
            { heading: "What", cell: ({ what }) => what },
            { heading: "Before", cell: ({ before }) => before },
            { heading: "Now", cell: (row) => row.now },
          ]}
        />
      )}
    </Part>
  );
}

function OtherRequests({ view: { others }, now }: RequestPartProps): UiElement | string {
  if (others === undefined) return "";
  return (
    <Part title="Other open requests for the same">
      <DataTable
        caption={others.length === 1 ? "One request" : `${others.length} requests`}
        rows={others}
        empty="There is no other one."
        columns={[
          { heading: "Name", cell: ({ name }) => <a href={`/requests/${encodeURIComponent(name)}`}>{name}</a> },
          { heading: "State", cell: ({ state }) => <span class={`state ${state}`}>{state}</span> },
          { heading: "For", cell: ({ shares }) => shares },
          { heading: "Key", cell: ({ sameKey }) => sameKey ? "the same" : "another one" },
          { heading: "Requested by", cell: ({ requestedBy }) => requestedBy },
          { heading: "Asked", cell: ({ createdAt }) => <Moment at={createdAt} now={now} /> },
        ]}
      />
    </Part>
  );
}

function Outcome({ view: { conditions, decision, certificate }, now }: RequestPartProps): UiElement {
  return (
    <>
      {conditions.length === 0 ? "" : (
        <Part title="What has happened">
          <ul>
            {conditions.map(({ type, status, since, reason, message }) => (
              <li>
                {status === "True" ? type : `${type} is ${status}`}
                {since === undefined ? "" : (
                  <>
                    , <Moment at={since} now={now} />
                  </>
                )}
                {`: ${[reason, message].filter((text) => text !== "").join(": ")}`}
              </li>
            ))}
          </ul>
          {decision === undefined ? "" : (
            <p>
              {`The server recorded: ${decision.type} by ${decision.user}`}
              {decision.address === undefined ? "" : ` from ${decision.address}`}
            </p>
          )}
        </Part>
      )}
      {certificate === undefined ? "" : (
        <Part title="The certificate">
          {certificate.unreadable === true ? <p>It cannot be read.</p> : (
            <Facts
              facts={[
                ["Subject", certificate.subject],
                ["Issuer", certificate.issuer],
                ["Serial number", certificate.serialNumber],
                ["Begins", <Moment at={certificate.notBefore} now={now} />],
                ["Ends", <Moment at={certificate.notAfter} now={now} />],
              ]}
            />
          )}
        </Part>
      )}
    </>
  );
}
