<?php
// The PHP class as it is published and copied, to the letter but for where key, secret and time come from.
//   php ticket.php KEY SECRET NAME AGO [trimmed|text-lifetime|latin1]
// `trimmed`: an older copy that trims the digest. `text-lifetime`: a caller that passes what a form gave it.
// `latin1`: a caller whose names are not UTF-8.

class SinchTicketGenerator
{
    private $applicationKey;
    private $applicationSecret;
    private $trims;

    public function __construct($applicationKey, $applicationSecret, $trims)
    {
        $this->applicationKey = $applicationKey;
        $this->applicationSecret = $applicationSecret;
        $this->trims = $trims;
    }

    public function generateTicket($username, DateTime $createdAt, $expiresIn)
    {
        $userTicket = [
            'identity' => ['type' => 'username', 'endpoint' => $username],
            'expiresIn' => $expiresIn,
            'applicationKey' => $this->applicationKey,
            'created' => $createdAt->format('c'),
        ];

        $userTicketJson = preg_replace('/\s+/', '', json_encode($userTicket));
        $userTicketBase64 = $this->base64Encode($userTicketJson);
        $digest = $this->createDigest($userTicketJson);
        $signature = $this->base64Encode($digest);

        return $userTicketBase64 . ':' . $signature;
    }

    private function base64Encode($data)
    {
        return trim(base64_encode($data));
    }

    private function createDigest($data)
    {
        $digest = hash_hmac('sha256', $data, base64_decode($this->applicationSecret), true);
        return $this->trims ? trim($digest) : $digest;
    }
}

[, $key, $secret, $names, $ago] = $argv;
$variant = $argv[5] ?? '';
$generator = new SinchTicketGenerator($key, $secret, $variant === 'trimmed');
foreach (explode("\n", $names) as $name) {
    if ($variant === 'latin1') {
        $name = utf8_decode($name);
    }
    $lifetime = $variant === 'text-lifetime' ? '3600' : 3600;
    echo @$generator->generateTicket($name, new DateTime("-$ago seconds"), $lifetime), "\n";
}
