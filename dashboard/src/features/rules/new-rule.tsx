import type { RuleSearch } from "@/lib/go";
import { useGo } from "@/lib/go";
import { Button } from "@/components/ui/button";
import { ArrowLeft } from "lucide-react";
import { RuleEditor } from "./components/rule-editor";

const TEMPLATE = `title: Refused requests to the login page
name: login_page_refused
status: experimental
description: What it means when this fires, for whoever reads it at night.
author: ''
tags:
  - attack.credential-access
  - attack.t1110
logsource:
  category: webserver
detection:
  selection:
    cs-uri-stem|contains: /login
    sc-status:
      - 401
      - 403
  condition: selection
falsepositives:
  - Mistyped passwords.
level: low
`;

/** A rule from nothing: written, checked and tried on what is stored. */
export function NewRulePage({ search, onSearch }: { search: RuleSearch; onSearch: (change: RuleSearch) => void }) {
  const go = useGo();
  return (
    <div className="flex min-h-full flex-col xl:h-full">
      <header className="flex items-center gap-3 border-b bg-panel px-4 py-3">
        <Button size="iconSm" variant="ghost" aria-label="All rules" onClick={() => go.rules({})}>
          <ArrowLeft />
        </Button>
        <h2 className="text-lg font-semibold">New rule</h2>
      </header>
      <RuleEditor original={TEMPLATE} rule={null} search={search} onSearch={onSearch} />
    </div>
  );
}
