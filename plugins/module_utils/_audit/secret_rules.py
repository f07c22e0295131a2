# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own rules for Kingfisher, in its YAML format: what a shop has that no provider's token format matches.

They are text in a Python file because only Python files travel to the target with a module. The patterns find; whether
a match is a secret, a default everybody knows, or a label on a form is decided in `secret_values`, where it is tested
value by value. Each pattern captures the value alone, some with its quotes. Of a setting's name the last word counts:
API_TOKEN names a secret, TOKEN_LIFETIME does not. Names in double angle brackets stand for the parts that many rules share.
"""

from __future__ import annotations

from typing import Dict

PREFIX = "miniecom."
(
    QUOTED,
    QUOTED_KEY,
    QUOTED_PAIR,
    FALLBACK,
    FALLBACK_CALL,
    COMPARED,
    UNQUOTED,
    UNQUOTED_KEY,
    FLOW,
    COMMENTED,
    INLINE,
    INLINE_KEY,
    SHELL_DEFAULT,
    ARGUMENT,
    FIRST_ARGUMENT,
    COMMAND_OPTION,
    HEADER,
    MACHINE,
    CHAP,
    ROW,
    PGPASS,
    HTPASSWD,
    BASICAUTH,
    SASL,
    URL,
    PARAMETER,
    PROSE,
    PAIR,
) = (
    PREFIX + name
    for name in (
        "quoted",
        "quoted-key",
        "quoted-pair",
        "fallback",
        "fallback-call",
        "compared",
        "unquoted",
        "unquoted-key",
        "flow",
        "commented",
        "inline",
        "inline-key",
        "shell-default",
        "argument",
        "first-argument",
        "command-option",
        "header",
        "machine",
        "chap",
        "row",
        "pgpass",
        "htpasswd",
        "basicauth",
        "sasl",
        "url",
        "parameter",
        "prose",
        "pair",
    )
)

# What the names of secrets end in. A password may be a word; a key or token never is, which is why there are two lists.
_PARTS: Dict[str, str] = {
    "PASSWORD": r"""(?: passwor[dt] | passw[dt] | passphrase | passcode | kennwort | (?: \b | [_.-] ) (?: pass | pwd | pw )
        | (?-i: [a-z0-9] (?: Pass | Pwd | PW ) ) | (?: smtp | mail | db | ssh | ftp | scp | admin | root | user | store | key
        | sql | mongo | redis ) _? pass )""",
    "KEY": r"""(?: secret | token | secret_key_base | secretorkey | [_.-] salt | \b psk | client-key-data | (?: api | auth
        | access | secret | private | preshared | encryption | encrypt | crypt | cipher | session | signing | sign | master
        | jwt | app | cookie | hmac | webhook | shared | admin | account | consumer | internal ) [_.-]? keys? )""",
    "END": r"""(?: [_-]? [0-9]{1,2} | [_-] (?: prod | production | live | staging | dev | test | old | new | value | default
        | string | base64 | hex ) )?""",
    "LITERAL": r"""( "[^"\r\n]{4,200}" | '[^'\r\n]{4,200}' | `[^`\r\n]{4,200}` )""",
    # An argument on a command line: quoted or one word.
    "ARGUMENT": r"""( "[^"$`\r\n]{4,100}" | '[^'\r\n]{4,100}' | [^\s"'`$<{(\[\-|;&] [^\s"'`|;&)\],]{3,100} )""",
    # What stands behind the name up to the end of the line.
    "REST": r"""( [^\s"'`$\#<{\[\(!] [^\s"'`]{3,120} (?: \x20 [^\s"'`\#]{1,40} ){0,9} )""",
    # Up to an option of the same command.
    "SAME": r"""[^\n|;&]{0,200}? [\s"',]""",
}

_TEMPLATE = r"""
rules:
  - name: Password in a quoted assignment
    id: miniecom.quoted
    pattern: |
      (?xi)
      <<PASSWORD>> <<END>>
      ["']? \]? \s{0,4} (?: \?? : \s{0,2} (?: string | str ) \s{0,4} )? (?: => | := | = | : ) \s{0,4} [bfr@]?
      <<LITERAL>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'const password = ''S3cr3tExample'';'
      - '"smtpPassword": "Example-4471"'
      - 'smtpPass: ''Example-4471'''
      - '$config[''smtp_pass''] = ''Example-4471'';'
      - 'password: str = "Example-4471"'
    negative_examples:
      - 'const password = process.env.DB_PASSWORD;'
      - 'passwordLifetime: ''900s'''

  - name: Key or token in a quoted assignment
    id: miniecom.quoted-key
    pattern: |
      (?xi)
      <<KEY>> <<END>>
      ["']? \]? \s{0,4} (?: \?? : \s{0,2} (?: string | str ) \s{0,4} )? (?: => | := | = | : ) \s{0,4} [bfr@]?
      <<LITERAL>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'apiKey => ''ak_example_12345'''
      - 'const token: string = ''Example-4471'''
      - 'secret_key = "Example-4471"'
    negative_examples:
      - 'tokenLifetime: ''900s'''
      - 'publicKey: ''Example-4471'''

  - name: Secret in a quoted NAME=value
    id: miniecom.quoted-pair
    pattern: |
      (?xi)
      ["'] [a-z0-9_.]{0,40} (?: <<PASSWORD>> | <<KEY>> ) <<END>> = ( [^"'`$\r\n]{4,100} ) ["']
    min_entropy: 0
    confidence: medium
    examples:
      - 'Environment="SMTP_PASSWORD=abcd efgh ijkl 1234"'
    negative_examples:
      - 'Environment="TOKEN_LIFETIME=9000"'

  - name: Secret as the fallback of a variable
    id: miniecom.fallback
    pattern: |
      (?xi)
      (?: <<PASSWORD>> | key | token | secret ) <<END>> (?: ["'\])]{0,3} \s{0,4} | ["']? \s{0,4} (?: = | : ) \s{0,4} (?: getenv | env
        | process\.env | \$_ENV | ENV ) [^;\n]{1,40}? \s ) (?: \|\| | \?\? | \?: | \b or \b ) \s{0,4}
      <<LITERAL>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'jwt.sign(payload, process.env.JWT_SECRET || ''example-fallback'')'
      - 'process.env["API_KEY"] ?? "example-fallback"'
      - 'getenv(''DB_PASSWORD'') ?: ''Example4417'''
    negative_examples:
      - 'process.env.JWT_SECRET || '''''

  - name: Secret as the default of a function that reads the environment
    id: miniecom.fallback-call
    pattern: |
      (?xi)
      (?: env | environ\.get | fetch | config ) \( \s{0,4} ["'] [a-z0-9_.]{0,40} (?: <<PASSWORD>> | <<KEY>> ) <<END>> ["']
      \s{0,4} , \s{0,4} <<LITERAL>>
    min_entropy: 0
    confidence: medium
    examples:
      - '''password'' => env(''DB_PASSWORD'', ''Example-4417'')'
      - 'os.environ.get(''DB_PASSWORD'', ''Example-4417'')'
      - 'ENV.fetch(''DB_PASSWORD'', ''Example-4417'')'
    negative_examples:
      - 'env(''DB_PASSWORD'', '''')'

  - name: Secret that input is compared with
    id: miniecom.compared
    pattern: |
      (?xi)
      (?: <<PASSWORD>> | token | secret | api [_-]? key | admin [_-]? key ) ["'\])]{0,3} \s{0,4} [!=]==? \s{0,4} <<LITERAL>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'if (password === ''Example-4417'') {'
    negative_examples:
      - 'if (password !== confirmation) {'

  - name: Password in an unquoted setting
    id: miniecom.unquoted
    pattern: |
      (?xmi)
      (?: ^ | [\r\n] ) [\x20\t]{0,40} (?: -\x20{1,4} )? (?: (?: export | set | setx | local | readonly | declare | ENV | ARG
        | admin | root | smtp | db ) \x20{1,4} )? ["']? [a-z0-9_.-]{0,40}
      <<PASSWORD>> <<END>> ["']? [\x20\t]{0,4} (?: [:?+]?= | : ) [\x20\t]{0,4} <<REST>>
    min_entropy: 0
    confidence: medium
    examples:
      - '      MONGO_INITDB_ROOT_PASSWORD: changeme'
      - 'password = Example-4417'
      - '  smtp_pass: Example-4417'
      - 'DB_PASS := Example-4417'
    negative_examples:
      - '      MONGO_INITDB_ROOT_PASSWORD: ${MONGO_PASSWORD}'
      - 'PASSWORD_POLICY: strict'

  - name: Key or token in an unquoted setting
    id: miniecom.unquoted-key
    pattern: |
      (?xmi)
      (?: ^ | [\r\n] ) [\x20\t]{0,40} (?: -\x20{1,4} )? (?: (?: export | set | setx | local | readonly | declare | ENV | ARG
        | admin | root | smtp | db ) \x20{1,4} )? ["']? [a-z0-9_.-]{0,40}
      <<KEY>> <<END>> ["']? [\x20\t]{0,4} (?: [:?+]?= | : ) [\x20\t]{0,4} <<REST>>
    min_entropy: 0
    confidence: medium
    examples:
      - '      - JWT_SECRET=Example-4417'
      - 'apiKey: ak88zz11qq'
      - 'JWT_SECRET_PROD=Example-4417'
    negative_examples:
      - 'TOKEN_LIFETIME: 3600'
      - 'API_KEY_HEADER: X-Api-Key'

  - name: Secret in a setting that is commented out
    id: miniecom.commented
    pattern: |
      (?xmi)
      (?: ^ | [\r\n] ) [\x20\t]{0,20} (?: \# | // | ; | -- ) [\x20\t]{0,4} (?: export \x20 )? [a-z0-9_.-]{0,40}
      (?: <<PASSWORD>> | <<KEY>> ) <<END>> ["']? [\x20\t]{0,4} [:=] [\x20\t]{0,4} ["']? ( [^\s"'`$<{\[\(!] [^\s"'`]{3,120} )
    min_entropy: 0
    confidence: medium
    examples:
      - '#DB_PASSWORD=Example-4417'
    negative_examples:
      - '# PASSWORD_POLICY=strict'

  - name: Password in NAME=value within a line
    id: miniecom.inline
    pattern: |
      (?xmi)
      <<PASSWORD>> <<END>> =
      ( [^\s"'`$\#<{\[\(=;&|!,] [^\s"'`;&|,]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - '0 3 * * * root PGPASSWORD=Example-4417 pg_dump shop'
    negative_examples:
      - 'PGPASSWORD=$DB pg_dump'

  - name: Key or token in NAME=value within a line
    id: miniecom.inline-key
    pattern: |
      (?xmi)
      <<KEY>> <<END>> =
      ( [^\s"'`$\#<{\[\(=;&|!,] [^\s"'`;&|,]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'API_TOKEN=Example-4417 ./sync'
    negative_examples:
      - 'TOKEN_LIFETIME=44'

  - name: Secret after the name of a variable
    id: miniecom.inline-blank
    pattern: |
      (?xm)
      ^ \s{0,8} (?: ENV | ARG | setenv | SetEnv | fastcgi_param | set \s \$ | aws \s configure \s set ) \s{0,4}
      [A-Za-z0-9_.]{0,40} (?i: <<PASSWORD>> | <<KEY>> ) <<END>> [\x20\t]{1,4} ["']? ( [^\s"'`$\#<{\[\(=\-] [^\s"'`;]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'ENV DB_PASSWORD Example-4417'
    negative_examples:
      - 'ENV TOKEN_LIFETIME 3600'

  - name: Secret as the default of a shell or compose variable
    id: miniecom.shell-default
    pattern: |
      (?xi)
      \$\{ [a-z0-9_]{0,40} (?: <<PASSWORD>> | <<KEY>> ) <<END>> :?[-=] ( [^}\s$]{3,200} ) \}
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
      (?: ^ | [\s"'\[,] ) --? [a-zA-Z]{0,40} (?: - [a-zA-Z]{1,20} ){0,3} -? (?: [pP]ass(?: word | phrase | wd )? | storepass | keypass
        | requirepass | [sS]ecret | [tT]oken | (?: api | access | secret | auth | encryption ) -? [kK]ey ) ["']?
      (?: = | ,? \s{1,4} ) <<ARGUMENT>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'mongodump --password=Example-4417 --gzip'
      - '["redis-server", "--requirepass", "Example-4417"]'
      - 'x --jwt-secret=Example-4417'
    negative_examples:
      - 'mongodump --password="$PASS"'
      - 'docker login --password-stdin x'

  - name: Password after -p
    id: miniecom.command-p
    pattern: |
      (?x)
      \b (?: mongodump | mongorestore | mongosh | mongo | mongoexport | mongoimport | sshpass | ncftpput | ncftpget
        | docker \s login ) \b <<SAME>>
      -p ["']? ,? \s{0,2} <<ARGUMENT>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'mongodump -u admin -p Example4417 --gzip'
      - 'sshpass -p ''Example 44 17'' ssh x'
    negative_examples:
      - 'mongodump -u admin -p "$PASS"'

  - name: Password joined to -p
    id: miniecom.command-mysql
    pattern: |
      (?x)
      \b (?: mysql | mysqldump | mysqladmin | mariadb | mariadb-dump | mariadb-admin | 7z | 7za ) \b <<SAME>> -p <<ARGUMENT>>
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
      \b (?: redis-cli \b <<SAME>> -a ["']? ,? \s | openssl \b <<SAME>> -k \s
        | openssl \b <<SAME>> -pass (?: in | out )? \s+ ["']? pass: | (?: zip | unzip | mosquitto_pub | mosquitto_sub
        | ipmitool ) \b <<SAME>> -P \s?
        | ldap (?: search | modify | add | delete ) \b <<SAME>> -w \s
        | htpasswd \s -[a-zA-Z]*b[^\n|;&]{0,200}? \s [a-z]+ \s
        | net \s use \b [^\n]{0,120}? /user:\S{1,60} \s | ConvertTo-SecureString \s (?: -String \s )?
        | rclone \s obscure \s | vault \s login \s ) \s{0,2} <<ARGUMENT>>
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
      (?: \b curl \b <<SAME>> (?: -u | --user | --proxy-user ) [\s=] ["']? [^\s:"'$]{1,60} :
        | (?-x:(?:^|[\r\n])(?:proxy-)?user {0,3}[=:] {0,3}["'])[^\s:"'$]{1,60} :
        | lftp \b <<SAME>> -u \s ["']? [^\s,"'$]{1,60} ,
        | smbclient \b <<SAME>> -U \s? ["']? [^\s%"'$]{1,60} % )
      ( [^\s"'`$<{] [^\s"'`]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'curl -u shop:Example4417 https://x.example'
    negative_examples:
      - 'curl -u "$USER:$PASS" https://x.example'

  - name: Password handed to a command
    id: miniecom.command-stdin
    pattern: |
      (?x)
      (?: echo \s{1,4} (?: -n \s )? ["']? ( [^\s"'`$|] [^\s"'`|]{3,100} )
        ["']? \s{0,4} \| \s{0,4} (?: sudo \s{1,4} (?: -[a-zA-Z]{1,4} \s{1,4} )? -?[a-zA-Z]{0,4}S
        | passwd \s --stdin | docker \s login | cryptsetup ) )
    min_entropy: 0
    confidence: medium
    examples:
      - 'echo Example4417 | sudo -S true'
    negative_examples:
      - 'echo $PW | sudo -S true'

  - name: Password in a here-string
    id: miniecom.here-string
    pattern: |
      (?xi)
      (?: <<PASSWORD>> | (?: passwd | cryptsetup ) \s [^\n|;&]{0,80}? ) \s{0,4} <{3} \s{0,4} <<ARGUMENT>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'read -r PASS <<< ''Example4417'''
    negative_examples:
      - 'read -r PASS <<< "$1"'

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
      (?: authorization ["'`]? \s{0,4} [:,=]? \s{0,4} ["'`]? (?: basic | bearer | token | api-?key | bot ) \s{1,4}
        | ["'`] (?: basic | bearer ) \x20
        | \b (?: x- [a-z-]{0,30} | private- | api- | auth- ) (?: token | key | secret | password ) ["'`]? \s{0,4} [:,]? \s{0,4} ["'`]? )
      ( [a-z0-9+/=._~!@\-]{8,400} )
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
      ^ \s{0,8} (?: (?: requirepass | masterauth ) \s{1,8} ["']? | stats \s auth \s [^\s:]{1,40} : | [^\n]{0,60} \s insecure-password \s
        | [^\n]{0,80}? : \s PSK \s ["'] | user \s [^\n]{1,100}? \s > ) ( [^\s"'$<{] [^\s"']{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'requirepass Example4417'
      - 'user shop on >Example4417 ~* +@all'
    negative_examples:
      - '# requirepass foobared'

  - name: Password of a login file
    id: miniecom.machine
    pattern: |
      (?xm)
      (?: ^ [\x20\t]{0,8} | \b (?: login | user ) \s \S{1,80} \s{1,8} )
        password [\x20\t]{1,16} ["']? ( (?: [a-z0-9]{4} \x20 ){3} [a-z0-9]{4} | [^\s"'$<{:=] [^\s"']{3,60} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'machine git.example.com login shop password Example4417'

  - name: Password of a PostgreSQL password file
    id: miniecom.pgpass
    pattern: |
      (?xm)
      ^ [^:\s\#]{1,200} : (?: [0-9]{2,5} | \* ) : [^:\s]{1,64} : [^:\s]{1,64} : ( [^\s]{4,100} ) $
    min_entropy: 0
    confidence: medium
    examples:
      - 'localhost:5432:shop:shop:Example4417'

  - name: Hash of a password
    id: miniecom.htpasswd
    pattern: |
      (?xm)
      ^ [^:\s]{1,64} : ( \$ (?: apr1 | 2[aby] | 5 | 6 ) \$ [^\s:]{20,120} | \{SHA\} [^\s:]{20,40} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'admin:$apr1$k2Jd81mz$Zr0bQpX7mVb2sGkQw1T5e/'

  - name: Hash of a password in a setting
    id: miniecom.basicauth
    pattern: |
      (?xi)
      (?: basicauth\.users ["']? \s{0,4} [=:] \s{0,4} ["']? [^:\s]{1,60} : | basic_?auth \b [^\n]{0,60}? \s | \b passwd ["']? \s? : \s? ["']?
        | \b user (?: add | mod ) \b [^\n|;&]{0,80}? \s -p \s ["']? )
      ( \${1,2} (?: apr1 | 2[aby] | 5 | 6 | y ) \${1,2} [^\s,"']{20,120} )
    min_entropy: 0
    confidence: medium
    examples:
      - '"traefik.http.middlewares.a.basicauth.users=ops:$$apr1$$k2Jd81mz$$Zr0bQpX7mVb2sGkQw1T5e/"'
      - 'passwd: $6$k2Jd81mz$Zr0bQpX7mVb2sGkQw1T5e/'

  - name: Password of a dial-in
    id: miniecom.chap
    pattern: |
      (?xm)
      ^ ["']? [^\s\#"']{1,80} ["']? [\x20\t]{1,8} \* [\x20\t]{1,8} ["']? ( [^\s"']{4,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'shop * Example4417 *'

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
      \b [a-z][a-z0-9+.\-]{1,20} :// [^\s:/@"'$<{]{0,64} : ( [^\s@/"'${}<]{4,100} ) @ [a-z0-9\[]
    min_entropy: 0
    confidence: medium
    examples:
      - 'https://shop:Example4417@git.example.com'
      - 'redis://:Example4417@redis:6379'
    negative_examples:
      - 'postgres://${USER}:${PASS}@db/shop'

  - name: Password in a data source name
    id: miniecom.dsn
    pattern: |
      (?xi)
      ["'`\s=] [a-z0-9_.-]{1,40} : ( [^\s:@"'`/$<{]{4,60} ) @ (?: tcp | unix ) \(
    min_entropy: 0
    confidence: medium
    examples:
      - 'dsn := "shop:Example4417@tcp(db:3306)/shop"'

  - name: Password in SQL
    id: miniecom.sql
    pattern: |
      (?xi)
      \b (?: identified \s{1,4} (?: with \s [a-z0-9_]{1,40} \s{1,4} )? by | password ) (?: \s{1,4}
        | \s{0,4} \( \s{0,4} ) ["'] ( [^"'\r\n]{4,100} ) ["']
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
      (?: jwt\.(?: sign | verify ) \( [^\n]{1,120}? | AES\.(?: en | de )crypt \( [^\n]{1,80}? | setVapidDetails \( [^\n]{1,120}?
        | createHmac \( \s{0,2} ["'][^"'\n]{1,20}["']
        | (?: \.auth | \.login | changeUserPassword | twilio | NetworkCredential | SetBasicAuth | basic_auth | basicAuth
          | getConnection \( [^,\n]{1,60} , | PlainAuth \( \s{0,2} "" \s{0,2} , | ftp_login \( [^,\n]{1,40} ,
          | (?: Sequelize | mysqli | mysqli?_connect | PDO | pymysql\.connect | MySQLdb\.connect ) \( \s{0,2} ["'][^"'\n]{1,80}["'] \s{0,2} ,
          | \b auth \s{0,2} = ) [\s(]{0,3} ["'][^"'\n]{1,64}["'] )
      \s{0,2} , \s{0,2} ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - 'jwt.sign(payload, ''Example-4417'')'
      - 'db.auth(''admin'', ''Example4417'')'
      - 'new PDO(''mysql:host=db'', ''shop'', ''Example4417'')'
      - 'http.basic_auth ''shop'', ''Example4417'''
    negative_examples:
      - 'jwt.verify(token, secret)'

  - name: Secret as the first argument
    id: miniecom.first-argument
    pattern: |
      (?x)
      (?: cookieParser \( | scryptSync \( | session \( \s{0,2} \{ [^}\n]{0,80}? secret \s{0,2} :
        | cookieSession \( \s{0,2} \{ [^}\n]{0,80}? keys \s{0,2} : \s{0,2} \[
        | (?: bcrypt\.hash | hashSync | hashpw | Hash::make | password_hash | make_password ) \(
        | (?i: <<KEY>> ) \s{0,2} [:=] \s{0,2} (?: Buffer\.from | base64\.b64decode | bytes\.fromhex | base64_decode | hex2bin | atob ) \( )
      \s{0,2} b? ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - 'cookieParser(''Example-4417'')'
      - 'const encryptionKey = Buffer.from(''00Example11'', ''hex'')'
      - 'bcrypt.hashSync(''Example4417'', 10)'
    negative_examples:
      - 'bcrypt.hashSync(password, 10)'

  - name: Secret in quotes behind its name
    id: miniecom.quoted-blank
    pattern: |
      (?xmi)
      (?: ^ | [\r\n] ) [\x20\t]{0,20} [a-z0-9_.-]{0,40} (?: <<PASSWORD>> | <<KEY>> ) <<END>> [\x20\t]{1,4} ( "[^"\r\n$]{4,200}"
        | '[^'\r\n$]{4,200}' ) [\x20\t]{0,4} ;? [\x20\t]{0,4} (?: $ | [\r\n] )
    min_entropy: 0
    confidence: medium
    examples:
      - '    storePassword "Example-4417"'
    negative_examples:
      - '    keyAlias "upload"'

  - name: Secret in JSON within a string
    id: miniecom.escaped
    pattern: |
      (?xi)
      \\ " [a-z0-9_.-]{0,40} (?: <<PASSWORD>> | <<KEY>> ) <<END>> \\ " \s{0,2} : \s{0,2} \\ " ( [^"\\$\r\n]{4,100} ) \\ "
    min_entropy: 0
    confidence: medium
    examples:
      - 'curl -d "{\"password\":\"Example-4417\"}" x'
    negative_examples:
      - 'curl -d "{\"password\":\"$PW\"}" x'

  - name: Secret in a YAML mapping on one line
    id: miniecom.flow
    pattern: |
      (?xi)
      [{,] \s{0,4} [a-z0-9_.-]{0,40} (?: <<PASSWORD>> | <<KEY>> ) <<END>> : \s{1,4} ( [^\s"'`$\#<{\[\(!,}] [^\s"'`,}]{3,100} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'env: { SMTP_PASS: Example-4417, PORT: 3001 }'
    negative_examples:
      - 'env: { TOKEN_TTL: 9000 }'

  - name: Secret in a row of settings
    id: miniecom.row
    pattern: |
      (?xi)
      (?: <<PASSWORD>> | <<KEY>> ) ["'] \s{0,4} , \s{0,4} <<LITERAL>>
    min_entropy: 0
    confidence: medium
    examples:
      - 'VALUES (''smtp_password'', ''Example-4417'')'
    negative_examples:
      - 'VALUES (''password_min_length'', ''12'')'

  - name: Secret in a PHP constant
    id: miniecom.define
    pattern: |
      (?xi)
      define \( \s{0,4} ["'] [a-z0-9_]{0,40} (?: <<PASSWORD>> | <<KEY>> | salt ) <<END>> ["'] \s{0,4} , \s{0,4} <<LITERAL>>
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
      < [a-z0-9_.:\-]{0,40} (?: <<PASSWORD>> | <<KEY>> ) (?: \s [^<>]{0,60} )? > ( [^<>"'$\r\n]{4,200} ) <
    min_entropy: 0
    confidence: medium
    examples:
      - '<password>Example4417</password>'
    negative_examples:
      - '<password>${env.PASSWORD}</password>'

  - name: Secret as the value beside its name
    id: miniecom.pair
    pattern: |
      (?xi)
      \b (?: key | name | id ) ["']? \s{0,4} [:=] \s{0,4} ["']? [a-z0-9_.:\-]{0,40} (?: <<PASSWORD>>
        | <<KEY>> ) ["']? [\s,]{1,60} ["']? value
      ["']? \s{0,4} [:=] \s{0,4} ( "[^"\r\n$]{4,200}" | '[^'\r\n$]{4,200}' | [^\s"'$<{\[] [^\s"']{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - '<add key="ApiKey" value="Example-4417" />'
      - '{"key": "password", "value": "Example-4417"}'
    negative_examples:
      - '{"key": "password", "value": "${DB_PASSWORD}"}'

  - name: Secret as a parameter
    id: miniecom.parameter
    pattern: |
      (?xi)
      [?&"',;] [a-z_-]{0,20} (?: client_secret | access_token | api_?key | password | passwd | pwd | token | secret | account_?key ) =
      ( [^\s"'&,;$<{%=\[] [^\s"'&,;]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'curl -d "client_secret=Example-4417" https://login.example.com/token'
      - 'Server=db;Password=Example4417;'
    negative_examples:
      - 'curl -d "client_secret=$CLIENT_SECRET" x'

  - name: Password in a text
    id: miniecom.prose
    pattern: |
      (?xi)
      \b (?: passwor[dt] | passwd | passphrase | kennwort | pass | pw | token | api [\s-]? key | secret ) [`*]{0,2} \s{0,2}
      (?: : | = | \b is \b | \b ist \b ) [\s`*"']{0,4} ( [a-z._\-/]{0,40} [0-9!?\#%&+] [^\s"'`*<|,;)]{0,60} )
    min_entropy: 0
    confidence: medium
    examples:
      - 'the password is Example4417'
    negative_examples:
      - 'password: short'

  - name: Password of a mail relay
    id: miniecom.sasl
    pattern: |
      (?xm)
      ^ \[? [a-z0-9-]{1,40} (?: \. [a-z0-9-]{1,40} ){1,5} \]? (?: : [0-9]{2,5} )? [\x20\t]{1,8} [^\s:]{1,80} : ( [^\s]{4,100} ) $
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


def _written_out(template: str, parts: Dict[str, str]) -> str:
    for name, part in parts.items():
        template = template.replace("<<%s>>" % name, part)
    return template


RULES_YAML = _written_out(_TEMPLATE, _PARTS)
