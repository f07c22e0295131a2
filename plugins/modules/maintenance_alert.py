#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell who should know what a run found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_alert
short_description: Tell by mail, webhook or file what a run found, and what is over
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Tells each channel what it has not heard yet, what still stands after O(repeat_after), and what is over of all that it was told. Where there is nothing
    to tell, nothing is sent.
  - A problem is known again by its kind and the step, finding or run it belongs to, not by its words. It is over when the step that looks for it did its
    work and reports it no more; while nobody looks, it stands.
  - Each channel is told on its own. One that fails keeps none of the others from being told, and is told the next time; the module then fails at its end.
  - What became of it is written into the record of the run, and what could not be sent into the maintenance log. Both are there when the run has ended,
    so this module is called after it and holds no lease.
  - Passwords and addresses of webhooks are read on the host from O(env_file). Its secrets are masked in all that is sent, returned and kept.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
attributes:
  idempotent:
    details: What was told is not told again before O(repeat_after). A heartbeat is pinged each time, and never counts as a change.
options:
  run:
    description: The run that is told of.
    type: dict
    required: true
    suboptions:
      name:
        description: What it is called.
        type: str
        required: true
      status:
        description: How it ended.
        type: str
        choices: [ok, failed]
        required: true
      run_id:
        description: The run, as returned by M(miniecom.maintenance.maintenance_run); its record tells which findings stand.
        type: str
      host:
        description: Name of the host in messages.
        type: str
      verdict:
        description: How it went, in a sentence.
        type: str
  problems:
    description: What is to be told, as the filter P(miniecom.maintenance.problems#filter) makes it.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: What it belongs to. A V(job) is never over by itself.
        type: str
        choices: [step, finding, run, text, job]
        default: text
      severity:
        description: How bad it is.
        type: str
        choices: [low, medium, high, critical]
        default: high
      text:
        description: What is told.
        type: str
        required: true
      step:
        description: The step that looks for it.
        type: str
      id:
        description: The id of a finding, or the name of a job.
        type: str
  looked_at:
    description: The steps of this run that did their work. Of what they were told of before and do not report any more it is said that it is over.
    type: list
    elements: str
    default: []
  threshold:
    description: Severity from which a problem is told.
    type: str
    choices: [low, medium, high, critical]
    default: high
  repeat_after:
    description: When a problem that still stands is told again. Empty, it never is.
    type: str
    default: 1d
  env_file:
    description: The shop's environment file on the host, for the settings of mail and for all O(webhooks[].url_key).
    type: path
  mail:
    description: Send mail. Without this, none is sent; an empty mapping takes all from O(env_file).
    type: dict
    suboptions:
      to:
        description: Who gets it; by default E(ALERT_EMAIL).
        type: list
        elements: str
      sender:
        description: Whom it is from; by default E(SMTP_FROM), else E(SMTP_USER) where that is an address.
        type: str
      host:
        description: The mail server; by default E(SMTP_HOST).
        type: str
      port:
        description: Its port; by default E(SMTP_PORT), else 25.
        type: int
      user:
        description:
          - User to log in as; by default E(SMTP_USER) where the server is that of E(SMTP_HOST). At another server nobody logs in unless this is given.
        type: str
      password_key:
        description: Variable of O(env_file) that holds the password.
        type: str
        default: SMTP_PASS
      security:
        description:
          - V(tls) speaks TLS from the beginning, V(starttls) goes over to it, V(none) does neither.
          - V(auto) speaks TLS on port 465 or where E(SMTP_SECURE) is true, and elsewhere goes over to it where the server offers that. A password is then
            never sent to another machine in plain text.
        type: str
        choices: [auto, tls, starttls, none]
        default: auto
      ca_file:
        description: File of the authorities that the server's certificate may be of; by default the host's own.
        type: path
      timeout:
        description: Seconds to wait for each answer.
        type: int
        default: 20
  webhooks:
    description: Web services that take messages as JSON.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the channel is called; by default its shape and place in the list. What was told is remembered by it.
        type: str
      url:
        description: Its address, which is a secret.
        type: str
      url_key:
        description: Variable of O(env_file) that holds the address.
        type: str
      shape:
        description: What it takes. V(generic) has everything, in keys of its own.
        type: str
        choices: [slack, teams, generic]
        default: generic
      ca_file:
        description: File of the authorities that its certificate may be of; by default the host's own.
        type: path
      timeout:
        description: Seconds to wait for its answer.
        type: int
        default: 20
  file:
    description: File on the host to which each message is added as one line of JSON, for a log shipper.
    type: path
  heartbeat:
    description: An address that is asked for (GET) whenever a run ended well, so that somebody outside notices silence.
    type: dict
    suboptions:
      url:
        description: The address. C({run}) and C({host}) in it become the names of run and host, such as C(weekly-maintenance).
        type: str
      url_key:
        description: Variable of O(env_file) that holds the address.
        type: str
      ca_file:
        description: File of the authorities that its certificate may be of; by default the host's own.
        type: path
      timeout:
        description: Seconds to wait for its answer.
        type: int
        default: 20
  state_dir:
    description: Directory on the host that holds records, and what was told before.
    type: path
    default: /var/lib/miniecom-maintenance
seealso:
  - module: miniecom.maintenance.maintenance_report
"""

EXAMPLES = r"""
- name: Mail what the run found, by the shop's own mail server
  miniecom.maintenance.maintenance_alert:
    run:
      name: weekly maintenance
      run_id: "{{ report_result.run_id }}"
      host: "{{ inventory_hostname }}"
      status: "{{ report_result.status }}"
      verdict: "{{ report_result.verdict }}"
    problems: "{{ (report_result | miniecom.maintenance.problems).problems }}"
    looked_at: "{{ (report_result | miniecom.maintenance.problems).looked_at }}"
    env_file: /opt/miniecom/.env
    mail: {}

- name: Tell a channel of Slack, whose address is in the environment file, and let silence be noticed
  miniecom.maintenance.maintenance_alert:
    run: {name: nightly backup, status: failed, host: shop1}
    problems:
      - {kind: step, step: backup, severity: critical, text: no space left}
    env_file: /opt/miniecom/.env
    webhooks:
      - {name: ops, shape: slack, url_key: SLACK_WEBHOOK_URL}
    heartbeat:
      url_key: HEARTBEAT_URL
"""

RETURN = r"""
plan:
  description: Which channels were to be told, and what of; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "send", "target": "mail", "reason": "1 new, 2 over", "bytes": 0}]
kept:
  description: Channels for which there was nothing, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was sent, and what was not, each with its error.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description: C(headline), C(sent), C(undelivered) and C(problems).
  returned: always
  type: dict
  sample: {"headline": "told mail; heartbeat pinged", "sent": 1, "undelivered": 0, "problems": 1}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._alerts.arguments import ALERT_ARGUMENTS
from ..module_utils._alerts.sending import MaintenanceAlert
from ..module_utils._core.runner import run


def main() -> None:
    run(MaintenanceAlert, ALERT_ARGUMENTS)


if __name__ == "__main__":
    main()
