/** One request as the page shows it: the view that `describe csr` and `review` show too. */
import { type FactSection, type FactValue, listFactSections } from "../request_rows.ts";
import type { RequestView, RuleView } from "../../core/report/request_view.ts";
import { DataTable, Facts, Moment } from "../layout.tsx";
import type { UiElement } from "../page.ts";
import { RequestLink } from "../parts.tsx";

export interface RequestPartProps {
  readonly view: RequestView;
  readonly now: Date;
}

/** The beginning of the page: the request in a sentence, its state, and the warnings. */
export function RequestHead({ view, now }: RequestPartProps): UiElement {
  return (
    <>
      <p class="faint name">{view.name}</p>
      <p>
        <span class={`state ${view.state}`}>{view.stateText}</span>
        {" requested "}
        <Moment at={view.createdAt} now={now} />
      </p>
      {view.unsigned === undefined ? "" : <p class="notice wait">{view.unsigned}</p>}
      {view.warnings.length === 0 ? "" : (
        <div class="notice warning">
          <h2>Warnings</h2>
          <ul>{view.warnings.map((warning) => <li>{warning}</li>)}</ul>
        </div>
      )}
    </>
  );
}

/** Everything else that is known about a request. */
export function RequestDetails({ view, now }: RequestPartProps): UiElement {
  return <>{listFactSections(view).map((section) => <Section section={section} now={now} />)}</>;
}

function Section({ section, now }: { readonly section: FactSection; readonly now: Date }): UiElement {
  const { title, paragraphs = [], facts, lists = [], rules = [], table } = section;
  const show = (value: FactValue | undefined) => <Value value={value} now={now} />;
  return (
    <section>
      <h2>{title}</h2>
      {paragraphs.map((text) => <p>{text}</p>)}
      {facts === undefined ? "" : <Facts facts={facts.map(([name, value]) => [name, show(value)])} />}
      {lists.map((list) => (
        <>
          {list.title === undefined ? "" : <h3>{list.title}</h3>}
          <ul>{list.texts.map((text) => <li>{text}</li>)}</ul>
        </>
      ))}
      {rules.map((rule, index) => <RuleDetails rule={rule} id={`rule-${index}`} />)}
      {table === undefined ? "" : (
        <DataTable
          caption={table.caption}
          rows={table.rows}
          empty={table.empty}
          columns={table.columns.map((heading, at) => ({
            heading,
            cell: (row: readonly FactValue[]) => show(row[at]),
          }))}
        />
      )}
    </section>
  );
}

function Value({ value = "", now }: { readonly value: FactValue | undefined; readonly now: Date }): UiElement {
  if (typeof value === "string") return <>{value}</>;
  return "time" in value ? <Moment at={value.time} now={now} /> : <RequestLink name={value.request} />;
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
