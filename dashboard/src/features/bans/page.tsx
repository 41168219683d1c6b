import { BanDialog } from "@/components/ban-dialog";
import { Button } from "@/components/ui/button";
import { SearchBox } from "@/components/ui/search-box";
import { Segmented } from "@/components/ui/segmented";
import { answerQuery, refreshBans } from "@/lib/bans";
import type { BansSearch } from "@/lib/go";
import { useKeys } from "@/lib/keys";
import { live } from "@/lib/live/store";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { useQuery } from "@tanstack/react-query";
import { Ban, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Actions } from "./components/actions";
import { BanList } from "./components/ban-list";
import { TrustList } from "./components/trust-list";

interface BansPageProps {
  search: BansSearch;
  onSearch: (change: Partial<BansSearch>, replace?: boolean) => void;
}

/** Who is kept out, by whom and until when; and who never is. */
export function BansPage({ search, onSearch }: BansPageProps) {
  const { data: status } = useQuery(answerQuery);
  const me = useStore(session);
  const [banning, setBanning] = useState(false);
  const [trusting, setTrusting] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  const changes = useStore(live.bans);
  useEffect(() => {
    if (changes > 0) void refreshBans();
  }, [changes]);
  useKeys({ "/": () => box.current?.focus() });
  const tab = search.tab ?? "bans";
  return (
    <div className="mx-auto max-w-6xl space-y-3 p-4">
      <Actions status={status} />
      <div className="flex flex-wrap items-center gap-2">
        <Segmented label="Which list" value={tab} onChange={(next) => onSearch({ tab: next === "trust" ? "trust" : undefined })} options={[{ value: "bans", label: "Bans" }, { value: "trust", label: "Trusted" }]} />
        {tab === "bans" && (
          <>
            <Segmented label="Which bans" value={search.state ?? "active"} onChange={(next) => onSearch({ state: next === "all" ? "all" : undefined })} options={[{ value: "active", label: "Active" }, { value: "all", label: "All" }]} />
            <SearchBox value={search.q ?? ""} onChange={(q) => onSearch({ q: q || undefined })} inputRef={box} label="Search the bans" placeholder="Network, reason, actor or rule" testId="ban-search" />
          </>
        )}
        <span className="flex-1" />
        {tab === "bans" && may(me, "analyst") && (
          <Button variant="primary" onClick={() => setBanning(true)}>
            <Ban /> Ban…
          </Button>
        )}
        {tab === "trust" && may(me, "admin") && (
          <Button variant="primary" onClick={() => setTrusting(true)}>
            <Plus /> Trust…
          </Button>
        )}
      </div>
      {tab === "bans" ? <BanList all={search.state === "all"} q={search.q ?? ""} mayUndo={may(me, "analyst")} /> : <TrustList mayChange={may(me, "admin")} adding={trusting} onAdded={() => setTrusting(false)} />}
      <BanDialog open={banning} onClose={() => setBanning(false)} />
    </div>
  );
}
