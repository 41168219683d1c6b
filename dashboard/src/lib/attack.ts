/** ATT&CK's tactics in kill-chain order, with a name that fits a narrow column. */
export const TACTICS = [
  ["reconnaissance", "Reconnaissance", "Recon"],
  ["resource-development", "Resource Development", "Resources"],
  ["initial-access", "Initial Access", "Access"],
  ["execution", "Execution", "Execution"],
  ["persistence", "Persistence", "Persist"],
  ["privilege-escalation", "Privilege Escalation", "Privilege"],
  ["defense-evasion", "Defense Evasion", "Evasion"],
  ["credential-access", "Credential Access", "Credential"],
  ["discovery", "Discovery", "Discovery"],
  ["lateral-movement", "Lateral Movement", "Lateral"],
  ["collection", "Collection", "Collection"],
  ["command-and-control", "Command and Control", "C2"],
  ["exfiltration", "Exfiltration", "Exfil"],
  ["impact", "Impact", "Impact"],
] as const;

export const tacticName = (id: string): string => TACTICS.find(([key]) => key === id)?.[1] ?? id;
