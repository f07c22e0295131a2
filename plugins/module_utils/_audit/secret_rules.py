# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own rules for Kingfisher, in its YAML format: what a shop has that no provider's token format matches.

They are text in a Python file because only Python files travel to the target with a module. The patterns find; whether
a match is a secret, a default everybody knows, or a label on a form is decided in `secret_matches.classify`, where it is
tested value by value. Each pattern captures the value alone. Of a setting's name the last word counts: API_TOKEN names a
secret, TOKEN_LIFETIME does not.
"""

from __future__ import annotations

PREFIX = "miniecom."
(
    QUOTED,
    FALLBACK,
    FALLBACK_CALL,
    UNQUOTED,
    UNQUOTED_KEY,
    INLINE,
    SHELL_DEFAULT,
    HEADER,
    MACHINE,
    PGPASS,
    HTPASSWD,
    SASL,
    URL,
) = (
    PREFIX + name
    for name in (
        "quoted",
        "fallback",
        "fallback-call",
        "unquoted",
        "unquoted-key",
        "inline",
        "shell-default",
        "header",
        "machine",
        "pgpass",
        "htpasswd",
        "sasl",
        "url",
    )
)

RULES_YAML = r"""
rules:
  - name: Secret in a quoted assignment
    id: miniecom.quoted
    pattern: |
      (?xi)
      (?: passw(?:or)?d | passphrase | (?: \b | [_.-] ) (?: pass | pwd | pw ) | (?-i: [a-z0-9] (?: Pass | Pwd ) )
        | secret | token | (?: api | auth | access | secret | private | encryption | session | signing | master
        | jwt | app ) [_.-]? key ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live | staging | dev | test
        | old | new | value ) )?
      ["']? \s{0,4} (?: : \s{0,2} string \s{0,4} )? (?: = | : | => | := ) \s{0,4}
      ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - 'const password = ''S3cr3tExample'';'
      - '"smtpPassword": "Example-4471"'
      - 'apiKey => ''ak_example_12345'''
      - 'smtpPass: ''Example-4471'''
      - 'const token: string = ''Example-4471'''
    negative_examples:
      - 'const password = process.env.DB_PASSWORD;'
      - 'tokenLifetime: ''900s'''

  - name: Secret in a quoted NAME=value
    id: miniecom.quoted-pair
    pattern: |
      (?x)
      ["'] [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | (?: \b | _ ) (?: PASS | PWD | PW ) | PGPASSWORD
        | SECRET | TOKEN | (?: API | AUTH | ACCESS | SECRET | PRIVATE | ENCRYPTION | SESSION | SIGNING | MASTER
        | JWT | APP ) _? KEY ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live | staging | dev | test
        | old | new | value ) )? = ( [^"'`$\r\n]{4,100} ) ["']
    min_entropy: 0
    confidence: medium
    examples:
      - 'Environment="SMTP_PASSWORD=abcd efgh ijkl 1234"'
    negative_examples:
      - 'Environment="TOKEN_LIFETIME=9000"'

  - name: Secret as the fallback of an environment variable
    id: miniecom.fallback
    pattern: |
      (?xi)
      process\.env (?: \. | \[ ["'] )
      [a-z0-9_]{0,40} (?: passw(?:or)?d | passphrase | pass | pwd | secret | key | token )
      (?: ["'] \] )? \s{0,4} (?: \|\| | \?\? ) \s{0,4}
      ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - 'jwt.sign(payload, process.env.JWT_SECRET || ''example-fallback'')'
      - 'process.env["API_KEY"] ?? "example-fallback"'
    negative_examples:
      - 'process.env.JWT_SECRET || '''''

  - name: Password in an unquoted setting
    id: miniecom.unquoted
    pattern: |
      (?xmi)
      ^ [\x20\t]{0,40} (?: -\x20{1,4} )? (?: (?: export | ENV | ARG | admin | root | smtp | db ) \x20{1,4} )? ["']?
      [a-z0-9_.-]{0,40} (?: passw(?:or)?d | passphrase | (?: \b | [_.-] ) (?: pass | pwd | pw )
        | (?-i: [a-z0-9] (?: Pass | Pwd ) ) ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live | staging
        | dev | test | old | new | value ) )?
      ["']? [\x20\t]{0,4} [:=] [\x20\t]{0,4} ( [^\s"'`$\#<{\[\(!] [^\s"'`\#]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - '      MONGO_INITDB_ROOT_PASSWORD: changeme'
      - 'password = Example-4417'
      - '  smtp_pass: Example-4417'
    negative_examples:
      - '      MONGO_INITDB_ROOT_PASSWORD: ${MONGO_PASSWORD}'
      - 'PASSWORD_POLICY: strict'

  - name: Key or token in an unquoted setting
    id: miniecom.unquoted-key
    pattern: |
      (?xmi)
      ^ [\x20\t]{0,40} (?: -\x20{1,4} )? (?: (?: export | ENV | ARG ) \x20{1,4} )? ["']?
      [a-z0-9_.-]{0,40} (?: secret | token | (?: api | auth | access | secret | private | encryption | session
        | signing | master | jwt | app ) [_.-]? key ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live
        | staging | dev | test | old | new | value ) )?
      ["']? [\x20\t]{0,4} [:=] [\x20\t]{0,4} ( [^\s"'`$\#<{\[\(!] [^\s"'`\#]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - '      - JWT_SECRET=Example-4417'
      - 'apiKey: ak88zz11qq'
      - 'JWT_SECRET_PROD=Example-4417'
    negative_examples:
      - 'TOKEN_LIFETIME: 3600'
      - 'API_KEY_HEADER: X-Api-Key'

  - name: Secret in NAME=value on a command line
    id: miniecom.inline
    pattern: |
      (?xm)
      (?: ^ | [\s;"'=] ) [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | (?: \b | _ ) (?: PASS | PWD | PW )
        | PGPASSWORD | SECRET | TOKEN | (?: API | AUTH | ACCESS | SECRET | PRIVATE | ENCRYPTION | SESSION | SIGNING
        | MASTER | JWT | APP ) _? KEY ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live | staging | dev
        | test | old | new | value ) )? [=\x20]
      ( [^\s"'`$\#<{\[\(=;&|!] [^\s"'`\#;&|]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - '0 3 * * * root PGPASSWORD=Example-4417 pg_dump shop'
      - 'ENV DB_PASSWORD Example-4417'
    negative_examples:
      - 'PGPASSWORD=$DB pg_dump'

  - name: Secret as the default of a shell or compose variable
    id: miniecom.shell-default
    pattern: |
      (?x)
      \$\{ [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | (?: \b | _ ) (?: PASS | PWD | PW ) | PGPASSWORD
        | SECRET | TOKEN | (?: API | AUTH | ACCESS | SECRET | PRIVATE | ENCRYPTION | SESSION | SIGNING | MASTER
        | JWT | APP ) _? KEY ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live | staging | dev | test
        | old | new | value ) )?
      :?- ( [^}\s$]{3,200} ) \}
    min_entropy: 0
    confidence: medium
    examples:
      - 'MONGO_PASSWORD: ${MONGO_PASSWORD:-changeme}'
    negative_examples:
      - 'MONGO_PASSWORD: ${MONGO_PASSWORD:?set it in .env}'

  - name: Secret as an option of a command
    id: miniecom.command-option
    pattern: |
      (?x)
      -- (?: password | passphrase | pass | requirepass | jwt-secret | secret | token | api-key ) ["']? (?: =
        | ,? \s{1,4} )
      ["']? ( [^\s"'`$<{(\-] [^\s"'`]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'mongodump --password=Example-4417 --gzip'
      - '["redis-server", "--requirepass", "Example-4417"]'
    negative_examples:
      - 'mongodump --password="$PASS"'
      - 'docker login --password-stdin x'

  - name: Password after -p
    id: miniecom.command-p
    pattern: |
      (?x)
      \b (?: mongodump | mongorestore | mongosh | mongo | mongoexport | mongoimport | sshpass
        | docker \s login ) \b [^\n|;&]{0,200}? \s -p \s{0,2}
      ["']? ( [^\s"'`$<{(\-] [^\s"'`]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'mongodump -u admin -p Example4417 --gzip'
    negative_examples:
      - 'mongodump -u admin -p "$PASS"'

  - name: Password joined to -p
    id: miniecom.command-mysql
    pattern: |
      (?x)
      \b (?: mysql | mysqldump | mysqladmin | mariadb | mariadb-dump
        | 7z ) \b [^\n|;&]{0,200}? \s -p ["']? ( [^\s"'`$<{(\-] [^\s"'`]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'mysqldump -u root -pExample4417 shop'
    negative_examples:
      - 'mysqldump -u root -p shop'

  - name: Password after a command's own option
    id: miniecom.command-letter
    pattern: |
      (?x)
      \b (?: redis-cli \b [^\n|;&]{0,200}? \s -a \s | openssl \b [^\n|;&]{0,200}? \s -k \s
        | openssl \b [^\n|;&]{0,200}? \s -pass (?: in | out )? \s+ pass: | zip \b [^\n|;&]{0,200}? \s -P
        | htpasswd \s -[a-zA-Z]*b[^\n|;&]{0,200}? \s [a-z]+ ) \s{0,2}
      ["']? ( [^\s"'`$<{(\-] [^\s"'`]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'redis-cli -a Example4417 ping'
      - 'openssl enc -aes-256-cbc -pass pass:Example4417 -in a'
    negative_examples:
      - 'openssl enc -pass env:PASS'
      - 'openssl enc -k $PASS'

  - name: Password after a user's name on a command line
    id: miniecom.command-user
    pattern: |
      (?x)
      \b (?: curl \b [^\n|;&]{0,200}? \s (?: -u | --user ) [\s=] ["']? [^\s:"'$]{1,60} :
        | lftp \b [^\n|;&]{0,200}? \s -u \s [^\s,"'$]{1,60} ,
        | smbclient \b [^\n|;&]{0,200}? \s -U \s? ["']? [^\s%"'$]{1,60} % )
      ( [^\s"'`$<{] [^\s"'`]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'curl -u shop:Example4417 https://x.example'
    negative_examples:
      - 'curl -u "$USER:$PASS" https://x.example'

  - name: Password handed to chpasswd
    id: miniecom.chpasswd
    pattern: |
      (?x)
      ["'] [a-z_][a-z0-9_\-]{0,31} : ( [^"'$\s]{4,100} ) ["'] \s{0,4} \| \s{0,4} chpasswd
    min_entropy: 0
    confidence: medium
    examples:
      - 'RUN echo "root:Example4417" | chpasswd'

  - name: Secret in a header
    id: miniecom.header
    pattern: |
      (?xi)
      (?: authorization ["']? \s{0,4} [:,=]? \s{0,4} ["']? (?: basic | bearer ) \s{1,4}
        | x-api-key ["']? \s{0,4} [:,]? \s{0,4} ["']? )
      ( [a-z0-9+/=._~\-]{8,400} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'headers: { Authorization: ''Basic c2hvcDpleGFtcGxl'' }'
      - 'proxy_set_header X-Api-Key kg-71-00-pp;'
    negative_examples:
      - 'Authorization: `Bearer ${token}`'
      - 'proxy_set_header Authorization $http_authorization;'

  - name: Password of a server's directive
    id: miniecom.directive
    pattern: |
      (?xm)
      ^ \s{0,8} (?: requirepass | masterauth ) \s{1,8} ["']? ( [^\s"'$<{] [^\s"']{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'requirepass Example4417'
    negative_examples:
      - '# requirepass foobared'

  - name: Password of a login file
    id: miniecom.machine
    pattern: |
      (?xm)
      (?: ^ | \s ) password [\x20\t]{1,16} ( [^\s"'$<{:=] [^\r\n"']{3,60} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'machine git.example.com login shop password Example4417'

  - name: Password of a PostgreSQL password file
    id: miniecom.pgpass
    pattern: |
      (?xm)
      ^ [^:\s\#]{1,200} : (?: [0-9]{2,5} | \* ) : [^:\s]{1,64} : [^:\s]{1,64} : ( [^\s:]{4,100} ) $
    min_entropy: 0
    confidence: medium
    examples:
      - 'localhost:5432:shop:shop:Example4417'

  - name: Hash of a password
    id: miniecom.htpasswd
    pattern: |
      (?xm)
      ^ [^:\s]{1,64} : ( \$ (?: apr1 | 2[aby] | 5 | 6 ) \$ [^\s:]{20,120} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'admin:$apr1$k2Jd81mz$Zr0bQpX7mVb2sGkQw1T5e/'

  - name: Secret of a package registry
    id: miniecom.npmrc
    pattern: |
      (?xm)
      (?: ^ | : ) _ (?: authToken | auth | password ) \s{0,4} = \s{0,4} ( [^\s$"'] [^\s"']{3,400} )
    min_entropy: 0
    confidence: medium
    examples:
      - '//npm.example.com/:_authToken=Example-4417'
    negative_examples:
      - '//npm.example.com/:_authToken=${NPM_TOKEN}'

  - name: Password in an address
    id: miniecom.url
    pattern: |
      (?xi)
      \b [a-z][a-z0-9+.\-]{1,20} :// [^\s:/@"'$<{]{1,64} : ( [^\s@/"'${}<]{4,100} ) @ [a-z0-9\[]
    min_entropy: 0
    confidence: medium
    examples:
      - 'https://shop:Example4417@git.example.com'
    negative_examples:
      - 'postgres://${USER}:${PASS}@db/shop'

  - name: Password in SQL
    id: miniecom.sql
    pattern: |
      (?xi)
      \b (?: identified \s{1,4} by | password ) \s{1,4} ["'] ( [^"'\r\n]{4,100} ) ["']
    min_entropy: 0
    confidence: medium
    examples:
      - 'CREATE USER ''shop'' IDENTIFIED BY ''Example4417'';'
    negative_examples:
      - 'password varchar(255)'

  - name: Secret as an argument
    id: miniecom.argument
    pattern: |
      (?x)
      (?: jwt\.(?: sign | verify ) \( [^,\n]{1,80} | createHmac \( \s{0,2} ["'][^"'\n]{1,20}["'] | (?: \.auth
        | changeUserPassword ) \( \s{0,2} ["'][^"'\n]{1,64}["'] ) \s{0,2} , \s{0,2} ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - 'jwt.sign(payload, ''Example-4417'')'
      - 'db.auth(''admin'', ''Example4417'')'
    negative_examples:
      - 'jwt.verify(token, secret)'

  - name: Secret of signed cookies
    id: miniecom.cookie
    pattern: |
      (?x)
      cookieParser \( \s{0,2} ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - 'cookieParser(''Example-4417'')'

  - name: Secret in a PHP constant
    id: miniecom.define
    pattern: |
      (?x)
      define \( \s{0,4} ["'] [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | (?: \b | _ ) (?: PASS | PWD
        | PW ) | PGPASSWORD | SECRET | TOKEN | (?: API | AUTH | ACCESS | SECRET | PRIVATE | ENCRYPTION | SESSION
        | SIGNING | MASTER | JWT | APP ) _? KEY ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod | production | live
        | staging | dev | test | old | new | value ) )? ["'] \s{0,4} , \s{0,4} ["'] ( [^"'\r\n]{4,200} ) ["']
    min_entropy: 0
    confidence: medium
    examples:
      - 'define(''DB_PASSWORD'', ''Example4417'');'
    negative_examples:
      - 'define(''DB_PASSWORD'', getenv(''DB_PASSWORD''));'

  - name: Secret in XML
    id: miniecom.xml
    pattern: |
      (?xi)
      (?: < [a-z0-9_.:\-]{0,40} (?: password | passphrase | secret | token | apikey ) > | (?: key
        | name ) = ["'] [a-z0-9_.:\-]{0,40} (?: password | passphrase | secret | token
        | apikey ) ["'] \s{1,4} value = ["'] ) ( [^<>"'$\r\n]{4,200} ) [<"']
    min_entropy: 0
    confidence: medium
    examples:
      - '<password>Example4417</password>'
      - '<add key="ApiKey" value="Example-4417" />'
    negative_examples:
      - '<password>${env.PASSWORD}</password>'

  - name: Secret as the default of a function that reads the environment
    id: miniecom.fallback-call
    pattern: |
      (?x)
      (?: env | getenv | environ\.get ) \( \s{0,4} ["'] [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | (?: \b
        | _ ) (?: PASS | PWD | PW ) | PGPASSWORD | SECRET | TOKEN | (?: API | AUTH | ACCESS | SECRET | PRIVATE
        | ENCRYPTION | SESSION | SIGNING | MASTER | JWT | APP ) _? KEY ) (?: [_-]? [0-9]{1,2} | [_-] (?i: prod
        | production | live | staging | dev | test | old | new
        | value ) )? ["'] \s{0,4} , \s{0,4} ["'] ( [^"'\r\n]{4,200} ) ["']
    min_entropy: 0
    confidence: medium
    examples:
      - '''password'' => env(''DB_PASSWORD'', ''Example-4417'')'
    negative_examples:
      - 'env(''DB_PASSWORD'', '''')'

  - name: Secret as a parameter
    id: miniecom.parameter
    pattern: |
      (?xi)
      [?&"',] (?: client_secret | access_token | api_?key | password | passwd | token
        | secret ) = ( [^\s"'&,$<{%=] [^\s"'&,]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'curl -d "client_secret=Example-4417" https://login.example.com/token'
    negative_examples:
      - 'curl -d "client_secret=$CLIENT_SECRET" x'

  - name: Password handed to sudo
    id: miniecom.command-stdin
    pattern: |
      (?x)
      echo \s{1,4} ["']? ( [^\s"'`$|] [^\s"'`|]{3,100} ) ["']? \s{0,4} \| \s{0,4} sudo \s{1,4} (?: -[a-zA-Z]{1,4} \s{1,4} )? -?[a-zA-Z]{0,4}S
    min_entropy: 0
    confidence: medium
    examples:
      - 'echo Example4417 | sudo -S true'
    negative_examples:
      - 'echo $PW | sudo -S true'

  - name: Password of a mail relay
    id: miniecom.sasl
    pattern: |
      (?xm)
      ^ \[? [a-z0-9.-]{1,80} \]? (?: : [0-9]{2,5} )? [\x20\t]{1,8} [^\s:]{1,80} : ( [^\s:]{4,100} ) $
    min_entropy: 0
    confidence: medium
    examples:
      - '[smtp.example.com]:587 shop@example.com:Example4417'

  - name: Login of a registry
    id: miniecom.auth
    pattern: |
      (?x)
      ["'] auth ["'] \s{0,4} : \s{0,4} ["'] ( [A-Za-z0-9+/]{12,400} ={0,2} ) ["']
    min_entropy: 0
    confidence: medium
    examples:
      - '"auth": "c2hvcDpleGFtcGxlNDQxNw=="'
"""
