/** ATT&CK's tactics in kill-chain order, with a name that fits a narrow column. */
export const TACTICS = [
  ["reconnaissance", "Reconnaissance", "Recon"],
  ["resource-development", "Resource Development", "Res. dev"],
  ["initial-access", "Initial Access", "Access"],
  ["execution", "Execution", "Exec"],
  ["persistence", "Persistence", "Persist"],
  ["privilege-escalation", "Privilege Escalation", "Priv esc"],
  ["defense-evasion", "Defense Evasion", "Evasion"],
  ["credential-access", "Credential Access", "Creds"],
  ["discovery", "Discovery", "Discov"],
  ["lateral-movement", "Lateral Movement", "Lateral"],
  ["collection", "Collection", "Collect"],
  ["command-and-control", "Command and Control", "C2"],
  ["exfiltration", "Exfiltration", "Exfil"],
  ["impact", "Impact", "Impact"],
] as const;

export const tacticName = (id: string): string => TACTICS.find(([key]) => key === id)?.[1] ?? id;
