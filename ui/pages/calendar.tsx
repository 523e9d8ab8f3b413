/** The calendar of the certificates that expire, a table for each month. */
import { type CalendarDay, type CalendarMonth, createExpiryCalendar } from "../calendar.ts";
import { type RecordRow } from "../../core/report/record_rows.ts";
import { capitalize } from "../../core/report/words.ts";
import type { UiElement, UiPage } from "../page.ts";
import { CertificateTable, describeHolder, MissingNotes } from "../parts.tsx";
import { readCertificates, RECORD_WATCH, REQUEST_CERTIFICATE_WATCH, ROTATION_WATCH } from "../sources.ts";

const WEEKDAYS: readonly (readonly [short: string, long: string])[] = [
  ["Mo", "Monday"],
  ["Tu", "Tuesday"],
  ["We", "Wednesday"],
  ["Th", "Thursday"],
  ["Fr", "Friday"],
  ["Sa", "Saturday"],
  ["Su", "Sunday"],
];
/** The number of certificates of a month that are listed by name; the list of certificates has the rest. */
const MAX_LISTED = 200;

export const calendarPage: UiPage = {
  path: "/certificates/calendar",
  live: [RECORD_WATCH.id, REQUEST_CERTIFICATE_WATCH.id, ROTATION_WATCH.id],
  async render(context) {
    const { now } = context;
    const { rows, missing } = await readCertificates(context);
    const { missed, months, later, omitted } = createExpiryCalendar(rows, now);
    const today = now.toISOString().slice(0, 10);
    return {
      title: "Expiry calendar",
      body: (
        <>
          <p>
            <a href="/certificates">All certificates</a>
          </p>
          <MissingNotes notes={missing} />
          <div id="calendar" data-swap>
            <p class="lead">{describeNext(months, now)}</p>
            {omitted === 0 ? "" : (
              <p class="faint">
                {`Left out: ${formatCount(omitted)} that ${omitted === 1 ? "is" : "are"} replaced or revoked.`}
              </p>
            )}
            {missed.length === 0 ? "" : (
              <section aria-labelledby="missed">
                <h2 id="missed">Expired without a replacement</h2>
                <CertificateTable
                  rows={missed}
                  now={now}
                  caption="Certificates that expired in the last 30 days and were not replaced"
                  empty=""
                />
              </section>
            )}
            <div class="months">{months.map((month) => <Month month={month} today={today} />)}</div>
            {later.length === 0 ? "" : (
              <section aria-labelledby="later">
                <h2 id="later">Later</h2>
                <ul>{later.map(({ year, count }) => <li>{`${year}: ${formatCount(count)}`}</li>)}</ul>
              </section>
            )}
          </div>
        </>
      ),
    };
  },
};

function Month({ month, today }: { readonly month: CalendarMonth; readonly today: string }): UiElement {
  const { key, title, weeks, count } = month;
  const days = weeks.flat().filter((day) => day !== undefined && day.rows.length > 0) as readonly CalendarDay[];
  return (
    <section class="month" aria-labelledby={`month-${key}`}>
      <h2 id={`month-${key}`}>{title}</h2>
      <table class="calendar">
        <caption>{`${capitalize(formatCount(count))} ${count === 1 ? "ends" : "end"} in ${title}`}</caption>
        <thead>
          <tr>
            {WEEKDAYS.map(([short, long]) => (
              <th scope="col">
                <abbr title={long}>{short}</abbr>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeks.map((week) => <tr>{week.map((day) => <Day day={day} today={today} />)}</tr>)}
        </tbody>
      </table>
      <ul class="ends">
        {days.map(({ date, rows }) => (
          <li id={`day-${date}`}>
            <time datetime={date}>{date}</time>
            <ul>
              {rows.slice(0, MAX_LISTED).map((row) => (
                <li>
                  <End row={row} />
                </li>
              ))}
            </ul>
            {rows.length > MAX_LISTED ? <p>{`and ${rows.length - MAX_LISTED} more`}</p> : ""}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Day({ day, today }: { readonly day: CalendarDay | undefined; readonly today: string }): UiElement {
  if (day === undefined) return <td class="none" />;
  const { date, rows } = day;
  const current = date === today ? "date" : undefined;
  if (rows.length === 0) return <td aria-current={current}>{day.day}</td>;
  return (
    <td class="ending" aria-current={current}>
      <a href={`#day-${date}`}>
        {day.day}{" "}
        <b>
          {rows.length}
          <span class="unseen">{rows.length === 1 ? " ends" : " end"}</span>
        </b>
      </a>
    </td>
  );
}

function End({ row }: { readonly row: RecordRow }): UiElement {
  const { serialNumber, notAfter } = row.record.spec;
  const time = (notAfter ?? "").slice(11, 16);
  const words = `${time} ${describeHolder(row)}`;
  if (serialNumber === undefined) return <span>{words}</span>;
  return <a href={`/certificates/${encodeURIComponent(serialNumber)}`}>{words}</a>;
}

function describeNext(months: readonly CalendarMonth[], now: Date): string {
  const days = months.flatMap(({ weeks }) => weeks.flat());
  const next = days.find((day) => day !== undefined && day.rows.length > 0);
  const first = next?.rows[0];
  if (next === undefined || first === undefined) return "Nothing expires within a year.";
  const soon = days.flatMap((day) => day?.rows ?? [])
    .filter(({ record }) => Date.parse(record.spec.notAfter ?? "") - now.getTime() < 30 * 86_400_000).length;
  const within = soon === 0 ? "none of them within 30 days" : `${soon === 1 ? "one" : soon} within 30 days`;
  return `The next certificate to expire is that of ${describeHolder(first)}, on ${next.date}; ${within}.`;
}

function formatCount(count: number): string {
  return count === 1 ? "one certificate" : `${count} certificates`;
}
