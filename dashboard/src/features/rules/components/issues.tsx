import { SeverityBadge } from "@/components/ui/severity";
import { plural } from "@/lib/number";
import type { RuleCheck } from "@/lib/types";
import { CircleAlert, CircleCheck, LoaderCircle } from "lucide-react";
import { isNotice } from "../match";
import { KIND_LABEL } from "../page";

interface IssuesProps {
  check: RuleCheck | undefined;
  error: Error | null;
  checking: boolean;
  onGo: (line: number) => void;
}

/** What the server reads in the text: the rules in it, or what is wrong and where. */
export function Issues({ check, error, checking, onGo }: IssuesProps) {
  const all = check?.issues ?? [];
  const wrong = all.filter((issue) => !isNotice(issue)).length;
  const notices = all.length - wrong;
  return (
    <div className="max-h-44 shrink-0 overflow-y-auto border-t px-3 py-2 text-xs" role="status" data-testid="rule-issues" data-issues={check ? wrong : undefined} data-checking={checking}>
      <p className="flex items-center gap-2">
        {checking ? <LoaderCircle className="size-3.5 animate-spin text-text3" /> : error || wrong > 0 ? <CircleAlert className="size-3.5 text-sev-critical" /> : <CircleCheck className="size-3.5 text-ok" />}
        <span className="text-text2">{error ? `The text could not be checked: ${error.message}` : !check ? "Checking…" : wrong > 0 ? plural(wrong, "problem") : check.rules.length === 0 ? "There is no rule in it" : `${plural(check.rules.length, "rule")}, no problem`}{notices > 0 && `, ${plural(notices, "note")}`}</span>
      </p>
      <ul className="mt-1 grid gap-1 empty:hidden">
        {all.map((issue, i) => (
          // oxlint-disable-next-line react/no-array-index-key
          <li key={i}>
            <button type="button" disabled={!issue.line} onClick={() => issue.line && onGo(issue.line)} className="grid w-full grid-cols-[3.5rem_minmax(0,1fr)] gap-2 rounded px-1 py-0.5 text-left enabled:hover:bg-raised">
              <span className="mono text-text3">{issue.line ? `line ${issue.line}` : "file"}</span>
              <span className="min-w-0 break-words">
                {issue.message}
                {issue.hint && <span className="block text-text3">{issue.hint}</span>}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {check && check.rules.length > 0 && (
        <ul className="mt-1 grid gap-0.5">
          {check.rules.map((rule) => (
            <li key={rule.id} className="flex min-w-0 items-center gap-2 pl-1">
              <SeverityBadge severity={rule.level} />
              <span className="min-w-0 truncate">{rule.name}</span>
              <span className="text-text3">{KIND_LABEL[rule.kind] ?? rule.kind}</span>
              {rule.handling?.signal && <span className="text-text3">signal</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
